//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/tests/cluster"
)

// files: several pods write one volume of CephFS, and several read a golden
// there.
func (s *scene) files(t *testing.T) {
	cluster.Bound(t,
		cluster.Claim{Namespace: "acme", Name: "board", Class: classCephFS, Mode: "ReadWriteMany", Size: "64Mi"},
		cluster.Claim{Namespace: "acme", Name: "corpus", Class: classCephFSGolden})
	cluster.Ready(t,
		cluster.Function{Namespace: "acme", Name: "left", Volume: cluster.Of("board")},
		cluster.Function{Namespace: "acme", Name: "right", Volume: cluster.Of("board")},
		cluster.Function{Namespace: "acme", Name: "scholar-1", Volume: cluster.Of("corpus")},
		cluster.Function{Namespace: "acme", Name: "scholar-2", Volume: cluster.Of("corpus")})
	cluster.Shell(t, "acme", "left", "echo hello >/data/note && sync")
	if got := cluster.Shell(t, "acme", "right", "cat /data/note; echo again >/data/note && sync"); got != "hello" {
		t.Errorf("the other pod reads %q", got)
	}
	if got := cluster.Shell(t, "acme", "left", "cat /data/note"); got != "again" {
		t.Errorf("the first pod reads %q", got)
	}
	s.readsModel(t, "acme", "scholar-1")
	s.readsModel(t, "acme", "scholar-2")
}

// volumeUsers: the users of volumes are made and removed by sdp-tenants, whose
// absence an event tells; the controller's key can do neither.
func (s *scene) volumeUsers(t *testing.T) {
	s.makesNoUsers(t)
	tenantsController := []string{"-n", cluster.DriverNamespace, "scale", "deployment/sdp-tenants"}
	cluster.Kubectl(t, append(tenantsController, "--replicas=0")...)
	cluster.Kubectl(t, "-n", cluster.DriverNamespace, "wait", "--for=delete", "pod", "--timeout=120s", "-l", selector(t, "deployment/sdp-tenants"))
	claim := cluster.Claim{Namespace: "acme", Name: "late", Class: classCephFS, Mode: "ReadWriteMany", Size: "64Mi"}
	cluster.Apply(t, claim.String())
	cluster.Event(t, "acme", "late", "sdp-csi --mode=tenants does not answer: is it running?")
	cluster.Kubectl(t, append(tenantsController, "--replicas=1")...)
	s.WaitForDriver(t)
	cluster.WaitFor(t, "acme", "jsonpath={.status.phase}=Bound", "pvc/late")
	made := s.usersOf(s.volumeOf(t, "late"))
	if len(made) != 1 {
		t.Errorf("the volume has the users %q, want one", made)
	}
	volume := s.volumeOf(t, "late")
	cluster.Remove(t, claim.String())
	cluster.Eventually(t, "the end of the volume's user", func() error {
		if left := s.usersOf(volume); len(left) > 0 {
			return fmt.Errorf("%w: there are %q", cluster.ErrNotYet, left)
		}
		return nil
	})
}

// volumeOf returns the hash in the ID of a claim's volume.
func (s *scene) volumeOf(t testing.TB, claim string) string {
	t.Helper()
	name := cluster.Kubectl(t, "-n", "acme", "get", "pvc", claim, "-o", "jsonpath={.spec.volumeName}")
	id := cluster.Kubectl(t, "get", "pv", name, "-o", "jsonpath={.spec.csi.volumeHandle}")
	return id[strings.LastIndex(id, ".")+1:]
}

// usersOf lists the users of a volume in CephFS.
func (s *scene) usersOf(volume string) (users []string) {
	for line := range strings.Lines(s.Ceph.Admin("auth", "ls")) {
		if user := strings.TrimSpace(line); strings.HasPrefix(user, "client.sdpfs.acme.vol."+volume+".") {
			users = append(users, user)
		}
	}
	return users
}

// makesNoUsers tries it with the controller's key.
func (s *scene) makesNoUsers(t testing.TB) {
	t.Helper()
	key := s.Ceph.KeyFile(s.Ceph.Key("client.sdp"))
	for _, command := range [][]string{
		{"auth", "get-or-create", "client.sdpfs.acme.stolen"}, {"auth", "rm", "client.sdpfs.acme.stolen"}, {"auth", "ls"},
		{"fs", "subvolume", "authorize", "cephfs", "acme.golden.resnet50-fs.v1", "stolen", "acme"},
	} {
		out, err := cluster.Run(t.Context(), "", "ceph", append([]string{"-c", s.Ceph.Conf(), "-n", "client.sdp", "--keyfile", key}, command...)...)
		if err == nil || !strings.Contains(err.Error(), "EACCES") {
			t.Errorf("with the controller's key, %s: %s, %v", strings.Join(command, " "), out, err)
		}
	}
}
