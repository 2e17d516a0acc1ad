package golden_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// leaving is a bench whose clock the test sets and whose deletions wait a day.
func leaving(t *testing.T) (*bench, *time.Time) {
	b, now := newBench(t), noon
	b.lib = golden.NewLibrary(b.ceph, golden.Options{InFlight: 1, Grace: 24 * time.Hour, Now: func() time.Time { return now }})
	return b, &now
}

func (b *bench) state() volume.GoldenState {
	b.Helper()
	g, err := b.get()
	if err != nil {
		b.Fatal(err)
	}
	return g.State
}

func (b *bench) purge() {
	b.Helper()
	if err := b.lib.Purge(context.Background(), b.at); err != nil {
		b.Fatal(err)
	}
}

// TestDeletionWaits retires at once and removes after the grace and the last
// lease, by another deletion or by Purge.
func TestDeletionWaits(t *testing.T) {
	for name, finish := range map[string]func(b *bench) error{
		"delete": (*bench).delete,
		"purge":  func(b *bench) error { return b.lib.Purge(context.Background(), b.at) },
	} {
		t.Run(name, func(t *testing.T) {
			b, now := leaving(t)
			g := b.mustLoad(b.a)
			var waiting *golden.Waiting
			if err := b.delete(); !errors.As(err, &waiting) || !errors.Is(err, volume.ErrInUse) || !waiting.Until.Equal(noon.Add(24*time.Hour)) {
				t.Fatalf("got %v", err)
			}
			b.ceph.Allow("node", "key", "acme")
			m := rbd.Mapping{Namespace: "acme", Identity: rbd.Identity{ImageID: g.ImageID}}
			if err := b.ceph.Lease(context.Background(), b.at, volume.Credentials{User: "node", Key: "key"}, m, "node-7", noon.Add(30*time.Hour)); err != nil {
				t.Fatal(err)
			}
			for _, later := range []time.Duration{23 * time.Hour, 25 * time.Hour} {
				*now = noon.Add(later)
				b.purge()
				if err := b.delete(); !errors.As(err, &waiting) || b.state() != volume.GoldenRetired {
					t.Fatalf("after %s: %v, %s", later, err, b.state())
				}
			}
			if waiting.Node != "node-7" {
				t.Errorf("it waits for %+v", waiting)
			}
			*now = noon.Add(31 * time.Hour)
			if err := finish(b); err != nil || b.state() != volume.GoldenDeleted {
				t.Fatalf("in the end: %v, %s", err, b.state())
			}
			want := []string{"index golden.resnet50.v1", "record golden.resnet50.v1"}
			if got := b.ceph.Contents(b.at); !slices.Equal(got, want) {
				t.Errorf("left %q, want %q", got, want)
			}
		})
	}
}

// TestPurgeLeavesOthers touches nothing whose deletion nobody asked for, nor
// what got a clone meanwhile.
func TestPurgeLeavesOthers(t *testing.T) {
	b, now := leaving(t)
	b.mustLoad(b.a)
	*now = noon.Add(100 * time.Hour)
	b.purge()
	if b.state() != volume.GoldenReady {
		t.Fatalf("a ready golden is %s", b.state())
	}
	if err := b.lib.Retire(context.Background(), b.at, b.ref); err != nil {
		t.Fatal(err)
	}
	b.purge()
	if err := b.delete(); !errors.Is(err, volume.ErrInUse) || b.state() != volume.GoldenRetired {
		t.Fatalf("a retired golden: %v, %s", err, b.state())
	}
	if err := b.clone("vol.1"); err != nil {
		t.Fatal(err)
	}
	*now = noon.Add(200 * time.Hour)
	b.purge()
	if b.state() != volume.GoldenRetired {
		t.Fatalf("a golden with a clone is %s", b.state())
	}
}
