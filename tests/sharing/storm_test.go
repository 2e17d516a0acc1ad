package sharing

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sync/errgroup"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/daemon"
)

// storm is how much is done. There are four calls in a life.
type storm struct{ functions, goldens, workers, rounds, kills int }

// sizes returns the storm of CI, which has two busy cores, or with
// SDP_STORM=full the one of the issue that asked for sharing.
func sizes() storm {
	if os.Getenv("SDP_STORM") == "full" {
		return storm{functions: 200, goldens: 5, workers: 16, rounds: 2, kills: 30}
	}
	return storm{functions: 12, goldens: 3, workers: 8, rounds: 3, kills: 7}
}

// killEvery is how many answers come between two kills.
func (s storm) killEvery() int { return s.functions * s.rounds * 4 / s.kills }

// mortal is a driver that is killed while calls run, and started again.
type mortal struct {
	r       *rig
	mu      sync.RWMutex // held for writing while there is none
	driver  *daemon.Driver
	answers chan struct{}

	killEvery, kills int
}

func nthGolden(i int) string { return fmt.Sprintf("golden-%d:v1", i) }

// TestStormOfKills leads volumes of some goldens and 2 tenants through their
// lives on a node, by some workers, while the driver is killed and started again.
// Every read is right, and in the end nothing is left.
func TestStormOfKills(t *testing.T) {
	for backend, fsTypes := range map[string][]string{"rbd": {"erofs", "ext4"}, "cephfs": {volume.FilesType}} {
		t.Run(backend, func(t *testing.T) { stormOfKills(newRigOf(t, backend), fsTypes) })
	}
}

func stormOfKills(r *rig, fsTypes []string) {
	size := sizes()
	for i := range size.goldens {
		r.seed(nthGolden(i), fsTypes[i%len(fsTypes)])
	}
	m := &mortal{r: r, killEvery: size.killEvery(), driver: r.start("node", "--golden-linger=1s", "--prefetch-limit=1000000000"), answers: make(chan struct{}, 1024)}
	var all []*function
	for i := range size.functions {
		w := want{namespace: []string{r.one, r.two}[i%2], name: fmt.Sprintf("f%d", i), golden: nthGolden(i % size.goldens), readOnly: true}
		w.parameters = map[string]string{"prefetch": []string{"none", "metadata", "all"}[i/3%3]}
		all = append(all, r.function("node", w, r.create(m.driver, w)))
	}
	ctx, end := context.WithCancel(r.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.killNowAndThen(ctx)
	}()
	var group errgroup.Group
	group.SetLimit(size.workers)
	for range size.rounds {
		for _, f := range all {
			group.Go(func() error { return m.live(f) })
		}
	}
	err := group.Wait()
	end()
	<-ended
	r.t.Logf("the driver was killed %d times", m.kills)
	r.must(err)
	r.wantNothing()
}

// killNowAndThen kills the driver and starts another one, until ctx ends.
func (m *mortal) killNowAndThen(ctx context.Context) {
	for answers := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-m.answers:
			if answers++; answers%m.killEvery == 0 {
				m.replace()
			}
		}
	}
}

func (m *mortal) replace() {
	m.driver.Kill(m.r.t)
	m.kills++
	m.mu.Lock()
	defer m.mu.Unlock()
	m.driver = m.r.start("node", "--golden-linger=1s", "--prefetch-limit=1000000000")
}

// live leads a function through one life on the node.
func (m *mortal) live(f *function) error {
	f.lock.Lock()
	defer f.lock.Unlock()
	for _, step := range []func(context.Context, csi.NodeClient) error{f.stage, f.publish} {
		if err := m.call(step); err != nil {
			return fmt.Errorf("start %s: %w", f.name, err)
		}
	}
	model, err := os.ReadFile(filepath.Join(f.target, "model.h5"))
	if err != nil || sha256.Sum256(model) != m.r.digests[f.golden] {
		return fmt.Errorf("%s reads %d wrong bytes: %w", f.name, len(model), err)
	}
	for _, step := range []func(context.Context, csi.NodeClient) error{f.unpublish, f.unstage} {
		if err := m.call(step); err != nil {
			return fmt.Errorf("end %s: %w", f.name, err)
		}
	}
	return nil
}

// call makes a call until it succeeds, as a kubelet does. It waits for a
// driver to be there, and does not keep one from being killed.
func (m *mortal) call(step func(context.Context, csi.NodeClient) error) error {
	ctx, cancel := context.WithTimeout(m.r.t.Context(), patience)
	defer cancel()
	for {
		m.mu.RLock()
		conn := m.driver.Conn
		m.mu.RUnlock()
		err := step(ctx, csi.NewNodeClient(conn))
		select {
		case m.answers <- struct{}{}:
		default: // while a driver is being started nobody counts
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}
