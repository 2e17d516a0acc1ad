package golden_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

func TestNamesAreNeverUsedAgain(t *testing.T) {
	verbs := map[string]func(*golden.Library, context.Context, tenant.Place, volume.GoldenRef) error{
		"retired": (*golden.Library).Retire,
		"deleted": (*golden.Library).Delete,
	}
	for state, verb := range verbs {
		t.Run(state, func(t *testing.T) {
			b := newBench(t)
			b.mustLoad(b.a)
			for range 2 {
				if err := verb(b.lib, context.Background(), b.at, b.ref); err != nil {
					t.Fatal(err)
				}
			}
			g, err := b.get()
			if err != nil || string(g.State) != state {
				t.Errorf("got %+v, %v", g, err)
			}
			_, err = b.load(b.a)
			b.want(err, volume.ErrConflict)
			_, err = b.lib.Resolve(context.Background(), b.at, b.ref)
			b.want(err, volume.ErrNotFound)
		})
	}
}

func TestDeleteLeavesTheTombstoneOnly(t *testing.T) {
	b := newBench(t)
	b.mustLoad(b.a)
	if err := b.delete(); err != nil {
		t.Fatal(err)
	}
	want := []string{"index golden.resnet50.v1", "record golden.resnet50.v1"}
	if got := b.ceph.Contents(b.at); !slices.Equal(got, want) {
		t.Errorf("left %q, want %q", got, want)
	}
}

func TestMissingGolden(t *testing.T) {
	b := newBench(t)
	verbs := map[string]func() error{
		"get":     func() error { _, err := b.get(); return err },
		"resolve": func() error { _, err := b.lib.Resolve(context.Background(), b.at, b.ref); return err },
		"retire":  func() error { return b.lib.Retire(context.Background(), b.at, b.ref) },
		"delete":  b.delete,
	}
	for name, verb := range verbs {
		t.Run(name, func(t *testing.T) {
			err := verb()
			b.want(err, volume.ErrNotFound)
			if !strings.Contains(err.Error(), "sdpctl golden import --tenant acme resnet50:v1") {
				t.Errorf("%v does not say what to do", err)
			}
		})
	}
}

func TestGoldenWithClonesIsNotDeleted(t *testing.T) {
	b := newBench(t)
	b.mustLoad(b.a)
	for _, name := range []string{"vol.1", "vol.2"} {
		if err := b.clone(name); err != nil {
			t.Fatal(err)
		}
	}
	err := b.delete()
	b.want(err, volume.ErrInUse)
	for _, part := range []string{"2 clones", "rbd children --all rbd/acme/golden.resnet50.v1@sealed"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if g, err := b.get(); err != nil || g.State != volume.GoldenReady {
		t.Errorf("got %+v, %v", g, err)
	}
	for _, name := range []string{"vol.1", "vol.2"} {
		if err := b.ceph.RemoveImage(context.Background(), b.at, name); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.delete(); err != nil {
		t.Fatal(err)
	}
}

// TestCloneDuringDelete lets a clone appear after each step of a deletion. Its
// data must stay, and a deletion after the clone's must come to its end.
func TestCloneDuringDelete(t *testing.T) {
	for n := 1; ; n++ {
		b := newBench(t)
		b.mustLoad(b.a)
		reached, cloned := false, false
		b.ceph.Reset(func(c fake.Call) fake.Fault {
			if c.N == n {
				b.ceph.Reset(nil)
				reached, cloned = true, b.clone("vol.1") == nil
			}
			return fake.Fault{}
		})
		err := b.delete()
		if !reached {
			return
		}
		if !cloned { // the snapshot is gone already
			if err != nil {
				t.Fatalf("step %d: %v", n, err)
			}
			continue
		}
		b.want(err, volume.ErrInUse)
		if err := b.ceph.RemoveImage(context.Background(), b.at, "vol.1"); err != nil {
			t.Fatalf("step %d: remove the clone: %v", n, err)
		}
		if err := b.delete(); err != nil {
			t.Fatalf("step %d: delete again: %v", n, err)
		}
	}
}
