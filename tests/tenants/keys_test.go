package tenants

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
)

// TestKeysAreNowhere runs a storm of functions on a real driver, some with
// wrong keys, while sdpctl replaces the tenants' keys. Then it searches for all
// keys that there were: in the arguments and environments of all processes
// while they ran, in the logs of the driver, its exporters and Ceph, in errors
// and answers, and in whatever files are left.
func TestKeysAreNowhere(t *testing.T) {
	s := newScene(t)
	s.shares = "\"" + s.public + "/" + granted + "\""
	s.under(s.public + "/" + granted)
	s.seed(s.public, granted)
	keys := append(s.secrets(), s.ceph.AdminKey())
	n := newNode(s)
	w := watch()
	var said strings.Builder
	pods := n.stormPods()
	fmt.Fprint(&said, strings.Join(storm(t.Context(), pods), "\n"))
	secrets := n.turnKeys(&said)
	keys = append(keys, s.secrets()...)
	fmt.Fprint(&said, strings.Join(storm(t.Context(), pods), "\n"))
	n.answers(&said)
	fmt.Fprintf(&said, "%v %+v %#v\n", s.keys(s.a), s.keys(s.a), s.keys(s.a))

	if !find(secrets, keys) {
		t.Error("tenant secret printed no key: this search finds nothing")
	}
	seen := w.end()
	for _, program := range []string{"sdp-csi", "sdp-export", "sdpctl"} {
		if !strings.Contains(seen, program) {
			t.Errorf("%s was not seen running", program)
		}
	}
	logged := n.driver.Log()
	if !strings.Contains(logged, "NodeStageVolume") {
		t.Errorf("the driver's log has no request: %s", logged)
	}
	for where, text := range map[string]string{"arguments or an environment": seen, "the driver's log": logged, "what was said": said.String()} {
		if find(text, keys) {
			t.Errorf("a key is in %s", where)
		}
	}
	for _, path := range slices.Concat(filesBelow(t, n.dir), filesBelow(t, filepath.Join(filepath.Dir(s.ceph.Conf()), "log"))) {
		text, err := os.ReadFile(path)
		if err == nil && find(string(text), keys) {
			t.Errorf("a key is in %s", path)
		}
	}
}

// stormPods are functions of A and B, of every kind of volume, and some with
// keys that are wrong.
func (n *node) stormPods() (pods []*pod) {
	golden := n.public + "/" + granted
	for _, owner := range []string{n.a, n.b} {
		wrong := n.pod(owner, "wrong", golden)
		wrong.secrets["userKey"] = n.keys(map[string]string{n.a: n.b, n.b: n.a}[owner]).Reader.Key.Reveal()
		swapped := n.pod(owner, "swapped", golden)
		swapped.secrets["userID"], swapped.secrets["userKey"] = swapped.secrets["userKey"], swapped.secrets["userID"]
		pods = append(pods, wrong, swapped, n.pod(owner, "shared", golden), n.pod(owner, "second", golden),
			n.pod(owner, "clone", golden, "share", "clone"), n.pod(owner, "written", ""))
	}
	return pods
}

// storm runs all functions at once from beginning to end and returns the
// errors.
func storm(ctx context.Context, pods []*pod) (said []string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	var group sync.WaitGroup
	var lock sync.Mutex
	for _, p := range pods {
		group.Go(func() {
			for _, err := range []error{p.stage(ctx), p.publish(ctx, p.owner), p.publish(ctx, "default"), p.unpublish(ctx), p.unstage(ctx)} {
				lock.Lock()
				said = append(said, fmt.Sprint(p.id, ": ", err))
				lock.Unlock()
			}
		})
	}
	group.Wait()
	return said
}

// turnKeys has sdpctl do all it can do with keys. It returns what it printed
// as Secrets, and adds all else that it said.
func (n *node) turnKeys(said *strings.Builder) (secrets string) {
	for _, command := range [][]string{
		{"create", n.a}, {"rotate", n.a}, {"sync"}, {"show", n.a}, {"list"}, {"rotate", n.public}, {"rotate", n.public, "--finish"},
	} {
		out, problem := n.ctl(append([]string{"tenant"}, command...)...)
		fmt.Fprintln(said, out, problem)
	}
	for _, name := range []string{n.a, n.b, n.public} {
		out, problem := n.ctl("tenant", "secret", name)
		secrets += out
		fmt.Fprintln(said, problem)
	}
	return secrets
}

// answers adds what the controller tells about everything.
func (n *node) answers(said *strings.Builder) {
	volumes, err := n.volumes.ListVolumes(n.t.Context(), &csi.ListVolumesRequest{})
	must(n.t, err)
	fmt.Fprintln(said, volumes)
	for _, e := range volumes.GetEntries() {
		one, err := n.volumes.ControllerGetVolume(n.t.Context(), &csi.ControllerGetVolumeRequest{VolumeId: e.GetVolume().GetVolumeId()})
		fmt.Fprintln(said, one, err)
	}
}

func filesBelow(t *testing.T, dir string) (all []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			all = append(all, path)
		}
		return err
	}))
	if len(all) == 0 {
		t.Errorf("there is no file below %s", dir)
	}
	return all
}

// secrets are the keys of all tenants and goldens in force.
func (s *scene) secrets() (all []string) {
	for _, name := range []string{s.a, s.b, s.public} {
		k := s.keys(name)
		all = append(all, k.Reader.Key.Reveal(), k.Writer.Key.Reveal())
		for _, c := range k.Goldens {
			all = append(all, c.Key.Reveal())
		}
	}
	return all
}

func find(text string, keys []string) bool {
	for _, key := range keys {
		if strings.Contains(text, key) {
			return true
		}
	}
	return false
}

// watcher collects the arguments and environments of all processes.
type watcher struct {
	stop chan struct{}
	seen chan map[string]bool
}

func watch() *watcher {
	w := &watcher{stop: make(chan struct{}), seen: make(chan map[string]bool, 1)}
	go func() {
		seen := map[string]bool{}
		for {
			look(seen)
			select {
			case <-w.stop:
				w.seen <- seen
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return w
}

// look reads what there is now. A process can end while it is read.
func look(seen map[string]bool) {
	for _, pattern := range []string{"/proc/[0-9]*/cmdline", "/proc/[0-9]*/environ"} {
		files, _ := filepath.Glob(pattern)
		for _, path := range files {
			text, _ := os.ReadFile(path)
			seen[string(text)] = true
		}
	}
}

// end returns all that was seen.
func (w *watcher) end() string {
	close(w.stop)
	return strings.Join(slices.Collect(maps.Keys(<-w.seen)), "\n")
}
