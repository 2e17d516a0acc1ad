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

	"golang.org/x/sys/unix"

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
// is not in the page cache, and the new one knows the mappings of the old one.
func (s *scene) nodePodDeleted(t *testing.T) {
	cluster.Bound(t,
		cluster.Claim{Namespace: "acme", Name: "lasting", Class: classGolden},
		cluster.Claim{Namespace: "acme", Name: "lasting-data", Class: classWritable, Mode: "ReadWriteOnce", Size: "64Mi"})
	cluster.Ready(t,
		cluster.Function{Namespace: "acme", Name: "lasting", Volume: cluster.Of("lasting"), Script: steady},
		cluster.Function{Namespace: "acme", Name: "writing", Volume: cluster.Of("lasting-data")})
	before := loops(t)
	cluster.Kubectl(t, "-n", cluster.DriverNamespace, "delete", "pod", "--wait", "-l", selector(t, "daemonset/sdp-node"))
	s.WaitForDriver(t)
	s.readsOn(t, "lasting")
	cluster.Shell(t, "acme", "writing", "echo more >/data/f && sync")
	cluster.Ready(t, cluster.Function{Namespace: "acme", Name: "newcomer", Volume: cluster.Of("lasting")})
	s.readsOn(t, "newcomer")
	// Goldens of earlier cases may have gone meanwhile, none may have come.
	for device := range strings.Lines(loops(t)) {
		if !strings.Contains(before, device) {
			t.Errorf("there is a device more, %s: there were\n%s", device, before)
		}
	}
	noRestart(t, "acme", "lasting")
}

// readsOn has a function of acme read its golden from Ceph.
func (s *scene) readsOn(t testing.TB, pod string) {
	t.Helper()
	files, err := filepath.Glob("/run/sdp-csi/golden/*/model.h5")
	s.must(t, err)
	for _, name := range files {
		f, err := os.Open(name)
		s.must(t, err)
		s.must(t, unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
		s.must(t, f.Close())
	}
	s.readsModel(t, "acme", pod)
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
	node(t, "restart", "kubelet")
	s.WaitForDriver(t)
	cluster.Eventually(t, "the kubelet", func() error {
		_, err := cluster.Try("-n", "acme", "exec", "patient", "--", "true")
		return err
	})
	s.readsModel(t, "acme", "patient")
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
	t.Log(cluster.Event(t, "acme", "stuck", "MountVolume", "desc = "))
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
