package tenants_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/kubernetes/tenants"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// reception counts the desks that are open, by cluster.
type reception struct {
	mu     sync.Mutex
	open   map[string]int
	opened int
	broken chan struct{} // a value ends a desk
}

func newReception() *reception {
	return &reception{open: map[string]int{}, broken: make(chan struct{})}
}

func (r *reception) desk(ctx context.Context, cluster string) error {
	r.count(cluster, 1)
	defer r.count(cluster, -1)
	select {
	case <-ctx.Done():
		return nil
	case <-r.broken:
		return errors.New("the watch broke")
	}
}

func (r *reception) count(cluster string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open[cluster] += n
	r.opened += max(n, 0)
}

// want wants one desk in each of the clusters and none elsewhere.
func (r *reception) want(t *testing.T, clusters ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, n := range r.open {
		if (n == 1) != slices.Contains(clusters, id) || n > 1 {
			t.Errorf("cluster %s has %d desks open, want one in each of %q", id, n, clusters)
		}
	}
	for _, id := range clusters {
		if r.open[id] != 1 {
			t.Errorf("cluster %s has %d desks open, want one", id, r.open[id])
		}
	}
}

const (
	withFiles    = "- {id: files, monitors: [\"10.0.0.1:3300\"], pool: rbd, fileSystem: cephfs}\n"
	withoutFiles = "- {id: images, monitors: [\"10.0.0.2:3300\"], pool: rbd}\n"
	moreFiles    = "- {id: more, monitors: [\"10.0.0.3:3300\"], pool: rbd, fileSystem: cephfs}\n"
)

// TestDesks: the leader, and it alone, keeps a desk open in each cluster that
// has a file system, as clusters come and go and watches break.
func TestDesks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, all := newRig(t, "clusters:\n"+withFiles+withoutFiles), newReception()
		begin := func(identity string) (stop func()) {
			o := r.options(identity)
			o.Desk = all.desk
			return r.start(o)
		}
		stop := begin("one")
		settle(time.Minute)
		all.want(t, "files")
		stopSecond := begin("two")
		settle(time.Minute)
		all.want(t, "files")

		all.broken <- struct{}{}
		settle(time.Second)
		all.want(t)
		settle(5 * time.Second)
		all.want(t, "files")

		r.decree("clusters:\n" + withFiles + withoutFiles + moreFiles)
		settle(time.Minute)
		all.want(t, "files", "more")
		r.decree("clusters:\n" + withFiles + withoutFiles)
		all.broken <- struct{}{}
		all.broken <- struct{}{}
		settle(time.Minute)
		all.want(t, "files")

		before := all.opened
		r.decree("clusters:\n" + strings.ReplaceAll(withFiles, "pool: rbd", "pool: other"))
		settle(time.Minute)
		all.want(t, "files")
		if all.opened == before {
			t.Error("the desk of a cluster with another pool is the old one")
		}
		r.decree("clusters:\n" + withoutFiles)
		settle(time.Minute)
		all.want(t)
		r.decree("clusters:\n" + withFiles)
		settle(time.Minute)

		stop()
		all.want(t)
		settle(2 * time.Minute)
		all.want(t, "files")
		stopSecond()
		all.want(t)
	})
}

// TestADeskWaitsForNothing: volumes are made while tenants cannot be.
func TestADeskWaitsForNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r, all := newRig(t, "clusters:\n"+withFiles), newReception()
		o := r.options("one")
		o.Desk, o.Registrar = all.desk, func(*tenant.Policy) tenants.Registrar { return deadCeph{} }
		defer r.start(o)()
		settle(time.Minute)
		all.want(t, "files")
	})
}

// deadCeph is a registrar to which nobody answers.
type deadCeph struct{ tenants.Registrar }

func (deadCeph) Ensure(ctx context.Context, _ tenant.Place) error {
	<-ctx.Done()
	return ctx.Err()
}

func (d deadCeph) Sync(ctx context.Context, at tenant.Place) ([]volume.GoldenRef, error) {
	return nil, d.Ensure(ctx, at)
}

func (d deadCeph) Mark(ctx context.Context, at tenant.Place) (string, error) {
	return "", d.Ensure(ctx, at)
}
