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
	bound(t,
		claim{namespace: "acme", name: "lasting", class: classGolden},
		claim{namespace: "acme", name: "lasting-data", class: classWritable, mode: "ReadWriteOnce", size: "64Mi"})
	ready(t,
		function{namespace: "acme", name: "lasting", volume: of("lasting"), script: steady},
		function{namespace: "acme", name: "writing", volume: of("lasting-data")})
	before := loops(t)
	kubectl(t, "-n", driverNamespace, "delete", "pod", "--wait", "-l", selector(t, "daemonset/sdp-node"))
	s.waitForDriver(t)
	s.readsOn(t, "lasting")
	shell(t, "acme", "writing", "echo more >/data/f && sync")
	ready(t, function{namespace: "acme", name: "newcomer", volume: of("lasting")})
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
	all, err := run(t.Context(), "", "losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE")
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
	pairs := kubectl(t, "-n", driverNamespace, "get", workload, "-o",
		`go-template={{range $k, $v := .spec.selector.matchLabels}}{{$k}}={{$v}},{{end}}`)
	return strings.TrimSuffix(pairs, ",")
}

// noRestart holds a pod's container to not having ended.
func noRestart(t testing.TB, namespace, pod string) {
	t.Helper()
	if n := kubectl(t, "-n", namespace, "get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].restartCount}"); n != "0" {
		t.Errorf("the container of %s was started %s times again", pod, n)
	}
}

// kubeletRestarted: functions read on, and the new kubelet takes their volumes
// away when they go.
func (s *scene) kubeletRestarted(t *testing.T) {
	bound(t, claim{namespace: "acme", name: "patient", class: classGolden})
	ready(t, function{namespace: "acme", name: "patient", volume: of("patient"), script: steady})
	node(t, "restart", "kubelet")
	s.waitForDriver(t)
	eventually(t, "the kubelet", func() error {
		_, err := try("-n", "acme", "exec", "patient", "--", "true")
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
			claims[i] = claim{namespace: "acme", name: fmt.Sprint("storm-", i), class: classGolden}.String()
			names[i] = fmt.Sprint("pvc/storm-", i)
		}
		apply(t, claims...)
		for range 2 {
			kubectl(t, "-n", driverNamespace, "delete", "pod", "--force", "--grace-period=0", "-l", selector(t, "deployment/sdp-controller"))
			time.Sleep(2 * time.Second) // of work between the blows
		}
		waitFor(t, "acme", "jsonpath={.status.phase}=Bound", names...)
	})
	eventually(t, "the end of the images", func() error {
		if after := s.images(t); len(after) > len(before) {
			return fmt.Errorf("%w: there were %v, there are %v", errNotYet, before, after)
		}
		return nil
	})
}

// images lists acme's.
func (s *scene) images(t testing.TB) []string {
	t.Helper()
	return strings.Fields(s.ceph.RBD("ls", s.pool+"/acme"))
}

// leaderMoves: with its leader gone, the other replica serves.
func (s *scene) leaderMoves(t *testing.T) {
	s.waitForDriver(t)
	leader := s.leader(t)
	kubectl(t, "-n", driverNamespace, "delete", "pod", "--force", "--grace-period=0", leader)
	bound(t, claim{namespace: "acme", name: "after", class: classGolden})
	if now := s.leader(t); now == leader {
		t.Errorf("%s leads still", now)
	}
}

// leader returns the pod that provisions.
func (s *scene) leader(t testing.TB) string {
	t.Helper()
	holder := kubectl(t, "-n", driverNamespace, "get", "lease", strings.ReplaceAll(driverName, ".", "-"), "-o", "jsonpath={.spec.holderIdentity}")
	for _, pod := range strings.Fields(kubectl(t, "-n", driverNamespace, "get", "pod", "-o", "jsonpath={.items[*].metadata.name}")) {
		if strings.Contains(holder, pod) {
			return pod
		}
	}
	return holder
}

// cephStopped: a pod that starts while Ceph is silent says so, and starts by
// itself when Ceph is back.
func (s *scene) cephStopped(t *testing.T) {
	bound(t, claim{namespace: "acme", name: "stuck", class: classGolden})
	s.signalCeph(t, syscall.SIGSTOP)
	t.Cleanup(func() { s.signalCeph(t, syscall.SIGCONT) })
	start(t, function{namespace: "acme", name: "stuck", volume: of("stuck")})
	t.Log(event(t, "acme", "stuck", "MountVolume", "desc = "))
	s.neverRan(t, "acme", "stuck")
	s.signalCeph(t, syscall.SIGCONT)
	waitFor(t, "acme", "condition=Ready", "pod/stuck")
	s.readsModel(t, "acme", "stuck")
}

// signalCeph sends a signal to each daemon of hack/ceph.
func (s *scene) signalCeph(t testing.TB, signal syscall.Signal) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(s.ceph.Conf()), "run/*.pid"))
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
	bound(t,
		claim{namespace: "acme", name: "old-model", class: classGolden},
		claim{namespace: "acme", name: "old-data", class: classWritable, mode: "ReadWriteOnce", size: "64Mi"})
	ready(t,
		function{namespace: "acme", name: "survivor", volume: of("old-model"), script: steady},
		function{namespace: "acme", name: "keeper", volume: of("old-data")})
	shell(t, "acme", "keeper", "echo kept >/data/f && sync")
	node(t, "reboot")
	eventually(t, "the survivor's return", func() error { return again("survivor") })
	eventually(t, "the keeper's return", func() error { return again("keeper") })
	s.waitForDriver(t)
	s.readsModel(t, "acme", "survivor")
	if got := shell(t, "acme", "keeper", "cat /data/f"); got != "kept" {
		t.Errorf("the writable volume has %q", got)
	}
}

// again asks whether a pod of acme runs in a container that was started again.
func again(pod string) error {
	out, err := try("-n", "acme", "get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].ready}")
	if err != nil {
		return err
	}
	if strings.HasPrefix(out, "0") || !strings.HasSuffix(out, "true") {
		return fmt.Errorf("%w: it was started %s", errNotYet, out)
	}
	_, err = try("-n", "acme", "exec", pod, "--", "true")
	return err
}
