//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/tests/cluster"
)

// forged: a pod of another tenant gets nothing by a PersistentVolume that names
// acme's volume, neither with its own tenant's keys nor with acme's.
func (s *scene) forged(t *testing.T) {
	cluster.Bound(t, cluster.Claim{Namespace: "acme", Name: "private", Class: classGolden})
	handle := cluster.Kubectl(t, "get", "pv", "-o", `jsonpath={.items[?(@.spec.claimRef.name=="private")].spec.csi.volumeHandle}`)
	for _, keys := range []string{"globex", "acme"} {
		t.Run("keys of "+keys, func(t *testing.T) {
			cluster.Apply(t, static("forged", handle, "globex", "stolen", keys, "ReadOnlyMany", "Retain"))
			thief := "thief-with-" + keys
			cluster.Start(t, cluster.Function{Namespace: "globex", Name: thief, Volume: cluster.Of("stolen")})
			t.Log(cluster.Event(t, "globex", thief, "MountVolume", "PermissionDenied"))
			s.neverRan(t, "globex", thief)
		})
	}
}

// neverRan holds a pod to not having started its container.
func (*scene) neverRan(t testing.TB, namespace, pod string) {
	t.Helper()
	state := cluster.Kubectl(t, "-n", namespace, "get", "pod", pod, "-o", "jsonpath={.status.phase} {.status.containerStatuses[*].state}")
	if !strings.HasPrefix(state, "Pending") || strings.Contains(state, "running") {
		t.Errorf("the pod is %s", state)
	}
}

// static is a PersistentVolume made by hand, with the claim that it is for.
func static(name, handle, namespace, claim, keys, mode, policy string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: PersistentVolume
metadata: {name: %[1]s, annotations: {pv.kubernetes.io/provisioned-by: %[8]s}}
spec:
  capacity: {storage: 1Gi}
  accessModes: [%[6]s]
  persistentVolumeReclaimPolicy: %[7]s
  storageClassName: ""
  claimRef: {namespace: %[3]s, name: %[4]s}
  csi:
    driver: %[8]s
    volumeHandle: %[2]s
    nodeStageSecretRef: {namespace: %[9]s, name: sdp-node-%[5]s}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {namespace: %[3]s, name: %[4]s}
spec:
  storageClassName: ""
  volumeName: %[1]s
  accessModes: [%[6]s]
  resources: {requests: {storage: 1Gi}}
`, name, handle, namespace, claim, keys, mode, policy, cluster.DriverName, cluster.DriverNamespace)
}

// byHand: a volume that was kept is bound again by a PersistentVolume made by
// hand.
func (s *scene) byHand(t *testing.T) {
	var pv, handle string
	kept := t.Run("keep", func(t *testing.T) {
		t.Cleanup(func() { cluster.Kubectl(t, "delete", "--ignore-not-found", "pv", pv) }) // after its claim
		cluster.Bound(t, cluster.Claim{Namespace: "acme", Name: "kept", Class: classGolden})
		pv = cluster.Kubectl(t, "-n", "acme", "get", "pvc", "kept", "-o", "jsonpath={.spec.volumeName}")
		handle = cluster.Kubectl(t, "get", "pv", pv, "-o", "jsonpath={.spec.csi.volumeHandle}")
		cluster.Kubectl(t, "patch", "pv", pv, "--patch", `{"spec": {"persistentVolumeReclaimPolicy": "Retain"}}`)
	})
	if !kept {
		return
	}
	cluster.Apply(t, static("by-hand", handle, "acme", "again", "acme", "ReadOnlyMany", "Delete"))
	cluster.WaitFor(t, "acme", "jsonpath={.status.phase}=Bound", "pvc/again")
	cluster.Ready(t, cluster.Function{Namespace: "acme", Name: "old-reader", Volume: cluster.Of("again")})
	s.readsModel(t, "acme", "old-reader")
}

// refused: a claim that cannot have a volume says why.
func (s *scene) refused(t *testing.T) {
	for name, c := range map[string]struct {
		namespace, parameters, mode, size string
		words                             []string
	}{
		"unknown":     {"acme", `golden: "nothing:v1"`, "", "", []string{"NotFound", "acme/nothing:v1"}},
		"not granted": {"globex", `golden: "public/resnet50:v2"`, "", "", []string{"PermissionDenied", "public/resnet50:v2"}},
		"no tenant":   {"default", `golden: "resnet50:v1"`, "", "", []string{"PermissionDenied", "default", "tenant"}},
		"too large":   {"globex", "csi.storage.k8s.io/fstype: ext4", "ReadWriteOnce", "20Gi", []string{"ResourceExhausted"}},
	} {
		t.Run(name, func(t *testing.T) {
			cluster.Apply(t, cluster.Class("refused", "Immediate", c.parameters),
				cluster.Claim{Namespace: c.namespace, Name: "refused", Class: "refused", Mode: c.mode, Size: c.size}.String())
			t.Log(cluster.Event(t, c.namespace, "refused", c.words...))
		})
	}
}

// rights: the node's account reads no Secret and makes no token.
func (s *scene) rights(t *testing.T) {
	accounts := strings.Fields(cluster.Kubectl(t, "-n", cluster.DriverNamespace, "get", "daemonset", "-o", "jsonpath={.items[*].spec.template.spec.serviceAccountName}"))
	for _, account := range accounts {
		as := "--as=system:serviceaccount:" + cluster.DriverNamespace + ":" + account
		for _, right := range [][]string{{"get", "secrets"}, {"list", "secrets"}, {"create", "serviceaccounts/token"}, {"create", "pods"}} {
			for _, namespace := range []string{cluster.DriverNamespace, "acme", "kube-system"} {
				args := append([]string{"-n", namespace, "auth", "can-i", as}, right...)
				if out, _ := cluster.Try(args...); strings.TrimSpace(out) != "no" {
					t.Errorf("may %s %s in %s: %q", account, right, namespace, out)
				}
			}
		}
	}
}
