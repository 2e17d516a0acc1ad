// Command chart writes the templates of deploy/helm/sdp-csi from the manifests
// of deploy/kubernetes, so that there is one text of each object, with its
// comments:
//
//	go run ./chart DEPLOY_DIRECTORY
package main
