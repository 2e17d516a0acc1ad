package cluster

import "fmt"

// SnapshotClass is the one of deploy/kubernetes/classes.
const SnapshotClass = "sdp"

// Job runs a script once over a volume.
func Job(namespace, name, script, volume string) string {
	return fmt.Sprintf(`apiVersion: batch/v1
kind: Job
metadata: {namespace: %s, name: %s}
spec:
  template:
    spec:
      restartPolicy: OnFailure
      containers:
      - name: job
        image: %s
        imagePullPolicy: Never
        command: [sh, -c, %q]
        volumeMounts: [{name: data, mountPath: /data}]
      volumes:
      - {name: data, %s}
`, namespace, name, FunctionImage, script, volume)
}

// Snapshot is a VolumeSnapshot of a claim.
func Snapshot(namespace, name, claim string) string {
	return fmt.Sprintf(`apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata: {namespace: %s, name: %s}
spec: {volumeSnapshotClassName: %s, source: {persistentVolumeClaimName: %s}}
`, namespace, name, SnapshotClass, claim)
}

// Namespace is a namespace.
func Namespace(name string) string {
	return "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + name + "}"
}

// Class is a StorageClass of the driver. Its parameters are in YAML's flow
// style.
func Class(name, binding, parameters string) string {
	return fmt.Sprintf(`apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: %s}
provisioner: %s
volumeBindingMode: %s
allowVolumeExpansion: true
reclaimPolicy: Delete
parameters: {%s, csi.storage.k8s.io/node-stage-secret-name: "sdp-node-${pvc.namespace}", csi.storage.k8s.io/node-stage-secret-namespace: %s}
`, name, DriverName, binding, parameters, DriverNamespace)
}
