//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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

// refused: a claim that cannot have a volume says why, and what to do.
func (s *scene) refused(t *testing.T) {
	s.interrupt(t, "rbd", "half:v1")
	s.interrupt(t, "cephfs", "half-fs:v1")
	unknown := []string{"NotFound", "golden acme/nothing:v1 does not exist", "import it with `sdpctl golden import"}
	unsealed := []string{"NotFound", "is not sealed: wait for its import to end, or run `sdpctl golden import` again"}
	large := []string{"ResourceExhausted", "over the tenant's limit for one volume", "ask for less, or raise «largest»"}
	for name, c := range map[string]struct {
		namespace, parameters, mode, size string
		words                             []string
	}{
		"unknown":     {"acme", `golden: "nothing:v1"`, "", "", unknown},
		"not sealed":  {"acme", `golden: "half:v1"`, "", "", append(unsealed, "acme/half:v1")},
		"not granted": {"globex", `golden: "public/resnet50:v2"`, "", "", []string{"PermissionDenied", "tenant globex may not use golden public/resnet50:v2: grant it in the policy file"}},
		"too large":   {"globex", "csi.storage.k8s.io/fstype: ext4", "ReadWriteOnce", "20Gi", large},
		"no tenant":   {"default", `golden: "resnet50:v1"`, "", "", []string{"PermissionDenied", `namespace "default" belongs to no tenant: add it to the policy file`}},

		"unknown in CephFS":     {"acme", `backend: cephfs, golden: "nothing:v1"`, "", "", unknown},
		"not sealed in CephFS":  {"acme", `backend: cephfs, golden: "half-fs:v1"`, "", "", append(unsealed, "acme/half-fs:v1")},
		"not granted in CephFS": {"globex", `backend: cephfs, golden: "acme/resnet50-fs:v1"`, "", "", []string{"PermissionDenied", "tenant globex may not use golden acme/resnet50-fs:v1"}},
		"too large for CephFS":  {"globex", "backend: cephfs", "ReadWriteMany", "20Gi", large},
	} {
		t.Run(name, func(t *testing.T) {
			refused := "refused-" + dashed(name)
			cluster.Apply(t, cluster.Class(refused, "Immediate", c.parameters),
				cluster.Claim{Namespace: c.namespace, Name: refused, Class: refused, Mode: c.mode, Size: c.size}.String())
			t.Log(cluster.Event(t, c.namespace, refused, c.words...))
			if told := cluster.Kubectl(t, "-n", c.namespace, "describe", "pvc", refused); !cluster.HasAll(told, c.words) {
				t.Errorf("kubectl describe tells\n%s", told)
			}
		})
	}
}

// dashed makes a name for Kubernetes of a test's: an object's events outlive it,
// so each test has objects of its own.
func dashed(name string) string { return strings.ToLower(strings.ReplaceAll(name, " ", "-")) }

// endless is the size of a file that takes minutes to import, and no space
// where zeros are not written.
const endless = 1 << 38

// interrupt leaves a golden of acme that was never sealed: its import is killed
// as soon as the golden is there.
func (s *scene) interrupt(t *testing.T, backend, name string) {
	file := filepath.Join(t.TempDir(), "endless")
	s.must(t, os.WriteFile(file, nil, 0o644))
	s.must(t, os.Truncate(file, endless))
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	program, ended := cluster.Path(t, "bin/sdpctl"), make(chan error, 1)
	go func() {
		_, err := s.TrySdpctl(ctx, program, "golden", "import", "--tenant", "acme", "--backend", backend, name, file)
		ended <- err
	}()
	cluster.Eventually(t, "the golden", func() error {
		if all := s.Sdpctl(t, "golden", "list", "--tenant", "acme"); !strings.Contains(all, "acme/"+name) {
			return fmt.Errorf("%w: there are\n%s", cluster.ErrNotYet, all)
		}
		return nil
	})
	kill()
	if err := <-ended; err == nil {
		t.Fatalf("the import of %s ended by itself", name)
	}
}

// rights: the accounts of the node's pods and the controller's read no Secret
// and make no token, and the question is one that can be answered with yes.
func (s *scene) rights(t *testing.T) {
	accounts := strings.Fields(cluster.Kubectl(t, "-n", cluster.DriverNamespace, "get", "daemonsets,deployments", "-o", "jsonpath={.items[*].spec.template.spec.serviceAccountName}"))
	slices.Sort(accounts)
	if want := []string{"sdp-controller", "sdp-mounter", "sdp-node", tenantsAccount}; !slices.Equal(accounts, want) {
		t.Errorf("the accounts are %q, not %q", accounts, want)
	}
	asked := [][]string{{"get", "secrets"}, {"list", "secrets"}, {"watch", "secrets"}, {"create", "serviceaccounts", "--subresource=token"}, {"create", "pods"}}
	for _, account := range accounts {
		if account == tenantsAccount {
			continue
		}
		for _, right := range asked {
			for _, namespace := range []string{cluster.DriverNamespace, "acme", "kube-system"} {
				if answer := mayAccount(account, namespace, right...); answer != "no" {
					t.Errorf("may %s %s in %s: %q", account, right, namespace, answer)
				}
			}
		}
	}
	if answer := mayAccount(tenantsAccount, cluster.DriverNamespace, "get", "secrets"); answer != "yes" {
		t.Errorf("may the tenants' controller read the driver's Secrets: %q", answer)
	}
}

// tenantsAccount is the one that has to do with Secrets.
const tenantsAccount = "sdp-tenants"

// mayAccount asks Kubernetes what an account of the driver's may, as kubectl
// puts it.
func mayAccount(account, namespace string, right ...string) string {
	as := "--as=system:serviceaccount:" + cluster.DriverNamespace + ":" + account
	out, _ := cluster.Try(append([]string{"-n", namespace, "auth", "can-i", as}, right...)...)
	return strings.TrimSpace(out)
}
