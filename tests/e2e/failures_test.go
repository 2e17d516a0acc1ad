//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/tests/cluster"
)

// node runs hack/kube/node, whose place these tests run in.
func node(t testing.TB, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "../../hack/kube/node", append([]string{os.Getenv("SDP_KUBERNETES")}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("node %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// steady is a script that reads the golden again and again, and ends where it
// cannot.
const steady = "while cat /data/model.h5 >/dev/null; do sleep 0.2; done"

// nodePodDeleted: functions read on while the node's pod is replaced, also what
// no cache of the node has, and the new one knows the mappings of the old one.
func (s *scene) nodePodDeleted(t *testing.T) {
	cluster.Bound(t,
		cluster.Claim{Namespace: "acme", Name: "lasting", Class: classGolden},
		cluster.Claim{Namespace: "acme", Name: "lasting-data", Class: classWritable, Mode: "ReadWriteOnce", Size: "64Mi"},
		cluster.Claim{Namespace: "acme", Name: "lasting-files", Class: classCephFS, Mode: "ReadWriteMany", Size: "64Mi"})
	cluster.Ready(t,
		cluster.Function{Namespace: "acme", Name: "lasting", Volume: cluster.Of("lasting"), Script: steady},
		cluster.Function{Namespace: "acme", Name: "writing", Volume: cluster.Of("lasting-data")},
		cluster.Function{Namespace: "acme", Name: "filing", Volume: cluster.Of("lasting-files")})
	patient := s.holders(t, "node")
	before := loops(t)
	cluster.Kubectl(t, "-n", cluster.DriverNamespace, "delete", "pod", "--wait", "-l", selector(t, "daemonset/sdp-node"))
	s.WaitForDriver(t)
	s.readFromCeph(t, patient...)
	cluster.Shell(t, "acme", "writing", "echo more >/data/f && sync")
	cluster.Shell(t, "acme", "filing", "echo more >/data/f && sync")
	cluster.Ready(t, cluster.Function{Namespace: "acme", Name: "newcomer", Volume: cluster.Of("lasting")})
	s.readsModel(t, "acme", "newcomer")
	// Goldens of earlier cases may have gone meanwhile, none may have come.
	for device := range strings.Lines(loops(t)) {
		if !strings.Contains(before, device) {
			t.Errorf("there is a device more, %s: there were\n%s", device, before)
		}
	}
	noRestart(t, "acme", "lasting")
}

// holders gives acme a golden in each backend that nobody has read, and a
// function that holds it and has not read it either: no cache of the node has
// it, neither the kernel's nor a client's of Ceph.
func (s *scene) holders(t *testing.T, of string) (functions []string) {
	for _, backend := range []string{"rbd", "cephfs"} {
		name := "unread-" + of + "-" + backend
		golden := cluster.Golden{Tenant: "acme", Name: name + ":v1", Backend: backend, File: s.file}
		s.Seed(t, golden)
		s.WaitForKeys(t, "acme", golden)
		cluster.Apply(t, cluster.Class(name, "Immediate", fmt.Sprintf("backend: %s, golden: %q", backend, golden.Name)))
		cluster.Bound(t, cluster.Claim{Namespace: "acme", Name: name, Class: name})
		cluster.Ready(t, cluster.Function{Namespace: "acme", Name: name, Volume: cluster.Of(name)})
		functions = append(functions, name)
	}
	return functions
}

// readFromCeph has functions of acme read their goldens, and Ceph send them.
func (s *scene) readFromCeph(t testing.TB, functions ...string) {
	t.Helper()
	for _, name := range functions {
		before := s.sent(t)
		s.readsModel(t, "acme", name)
		sent := s.sent(t) - before
		t.Logf("%s read %d MiB, of which Ceph sent %d", name, modelBytes>>20, sent>>20)
		// What was read ahead when the golden was mounted is little.
		if sent < modelBytes/2 {
			t.Errorf("%s did not read from Ceph", name)
		}
	}
}

// loops lists the loop devices of this node's mappings. The machine's other
// devices can be those of another Kubernetes, whose files are not here.
func loops(t testing.TB) string {
	t.Helper()
	all, err := cluster.Run(t.Context(), "", "losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE")
	if err != nil {
		t.Fatal(err)
	}
	var here strings.Builder
	for line := range strings.Lines(all) {
		file := line[strings.LastIndex(line, " ")+1:]
		if _, err := os.Stat(strings.TrimSpace(file)); err == nil && strings.HasPrefix(file, "/run/sdp-csi/") {
			here.WriteString(line)
		}
	}
	return here.String()
}

// selector returns a workload's labels as kubectl wants them.
func selector(t testing.TB, workload string) string {
	t.Helper()
	pairs := cluster.Kubectl(t, "-n", cluster.DriverNamespace, "get", workload, "-o",
		`go-template={{range $k, $v := .spec.selector.matchLabels}}{{$k}}={{$v}},{{end}}`)
	return strings.TrimSuffix(pairs, ",")
}

// noRestart holds a pod's container to not having ended.
func noRestart(t testing.TB, namespace, pod string) {
	t.Helper()
	if n := cluster.Kubectl(t, "-n", namespace, "get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].restartCount}"); n != "0" {
		t.Errorf("the container of %s was started %s times again", pod, n)
	}
}

// kubeletRestarted: functions read on, and the new kubelet takes their volumes
// away when they go.
func (s *scene) kubeletRestarted(t *testing.T) {
	cluster.Bound(t, cluster.Claim{Namespace: "acme", Name: "patient", Class: classGolden})
	cluster.Ready(t, cluster.Function{Namespace: "acme", Name: "patient", Volume: cluster.Of("patient"), Script: steady})
	functions := s.holders(t, "kubelet")
	node(t, "restart", "kubelet")
	s.WaitForDriver(t)
	cluster.Eventually(t, "the kubelet", func() error {
		_, err := cluster.Try("-n", "acme", "exec", "patient", "--", "true")
		return err
	})
	s.readFromCeph(t, functions...)
	noRestart(t, "acme", "patient")
}

const stormClaims = 30

// controllerKilled: the controllers die while claims are served; each claim has
// its volume, and no image is left when they are gone.
func (s *scene) controllerKilled(t *testing.T) {
	before := s.images(t)
	t.Run("storm", func(t *testing.T) {
		claims, names := make([]string, stormClaims), make([]string, stormClaims)
		for i := range claims {
			claims[i] = cluster.Claim{Namespace: "acme", Name: fmt.Sprint("storm-", i), Class: classGolden}.String()
			names[i] = fmt.Sprint("pvc/storm-", i)
		}
		cluster.Apply(t, claims...)
		for range 2 {
			cluster.Kubectl(t, "-n", cluster.DriverNamespace, "delete", "pod", "--force", "--grace-period=0", "-l", selector(t, "deployment/sdp-controller"))
			time.Sleep(2 * time.Second) // of work between the blows
		}
		cluster.WaitFor(t, "acme", "jsonpath={.status.phase}=Bound", names...)
	})
	cluster.Eventually(t, "the end of the images", func() error {
		if after := s.images(t); len(after) > len(before) {
			return fmt.Errorf("%w: there were %v, there are %v", cluster.ErrNotYet, before, after)
		}
		return nil
	})
}

// images lists acme's.
func (s *scene) images(t testing.TB) []string {
	t.Helper()
	return strings.Fields(s.Ceph.RBD("ls", s.Pool+"/acme"))
}

// leaderMoves: with its leader gone, the other replica serves.
func (s *scene) leaderMoves(t *testing.T) {
	s.WaitForDriver(t)
	leader := s.leader(t)
	cluster.Kubectl(t, "-n", cluster.DriverNamespace, "delete", "pod", "--force", "--grace-period=0", leader)
	cluster.Bound(t, cluster.Claim{Namespace: "acme", Name: "after", Class: classGolden})
	if now := s.leader(t); now == leader {
		t.Errorf("%s leads still", now)
	}
}

// leader returns the pod that provisions.
func (s *scene) leader(t testing.TB) string {
	t.Helper()
	holder := cluster.Kubectl(t, "-n", cluster.DriverNamespace, "get", "lease", strings.ReplaceAll(cluster.DriverName, ".", "-"), "-o", "jsonpath={.spec.holderIdentity}")
	for _, pod := range strings.Fields(cluster.Kubectl(t, "-n", cluster.DriverNamespace, "get", "pod", "-o", "jsonpath={.items[*].metadata.name}")) {
		if strings.Contains(holder, pod) {
			return pod
		}
	}
	return holder
}

// cephStopped: a pod that starts while Ceph is silent says so, and starts by
// itself when Ceph is back.
func (s *scene) cephStopped(t *testing.T) {
	cluster.Bound(t, cluster.Claim{Namespace: "acme", Name: "stuck", Class: classGolden})
	s.signalCeph(t, syscall.SIGSTOP)
	t.Cleanup(func() { s.signalCeph(t, syscall.SIGCONT) })
	cluster.Start(t, cluster.Function{Namespace: "acme", Name: "stuck", Volume: cluster.Of("stuck")})
	t.Log(cluster.Event(t, "acme", "stuck", "MountVolume", "Unavailable", "cluster test", "did not answer in time", "sdpctl doctor"))
	s.neverRan(t, "acme", "stuck")
	s.signalCeph(t, syscall.SIGCONT)
	cluster.WaitFor(t, "acme", "condition=Ready", "pod/stuck")
	s.readsModel(t, "acme", "stuck")
}

// signalCeph sends a signal to each daemon of hack/ceph.
func (s *scene) signalCeph(t testing.TB, signal syscall.Signal) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(s.Ceph.Conf()), "run/*.pid"))
	s.must(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		s.must(t, err)
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		s.must(t, err)
		s.must(t, syscall.Kill(pid, signal))
	}
}

// reboot: the node loses its memory; its pods come back and read.
func (s *scene) reboot(t *testing.T) {
	cluster.Bound(t,
		cluster.Claim{Namespace: "acme", Name: "old-model", Class: classGolden},
		cluster.Claim{Namespace: "acme", Name: "old-data", Class: classWritable, Mode: "ReadWriteOnce", Size: "64Mi"})
	cluster.Ready(t,
		cluster.Function{Namespace: "acme", Name: "survivor", Volume: cluster.Of("old-model"), Script: steady},
		cluster.Function{Namespace: "acme", Name: "keeper", Volume: cluster.Of("old-data")})
	cluster.Shell(t, "acme", "keeper", "echo kept >/data/f && sync")
	node(t, "reboot")
	cluster.Eventually(t, "the survivor's return", func() error { return again("survivor") })
	cluster.Eventually(t, "the keeper's return", func() error { return again("keeper") })
	s.WaitForDriver(t)
	s.readsModel(t, "acme", "survivor")
	if got := cluster.Shell(t, "acme", "keeper", "cat /data/f"); got != "kept" {
		t.Errorf("the writable volume has %q", got)
	}
}

// again asks whether a pod of acme runs in a container that was started again.
func again(pod string) error {
	out, err := cluster.Try("-n", "acme", "get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].ready}")
	if err != nil {
		return err
	}
	if strings.HasPrefix(out, "0") || !strings.HasSuffix(out, "true") {
		return fmt.Errorf("%w: it was started %s", cluster.ErrNotYet, out)
	}
	_, err = cluster.Try("-n", "acme", "exec", pod, "--", "true")
	return err
}
