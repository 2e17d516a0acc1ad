package golden_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// faults are what can meet a call: it fails, or the process dies, before or
// after the effect.
var faults = map[string]fake.Fault{
	"fails before":   {When: fake.Before},
	"fails after":    {When: fake.After},
	"crashes before": {When: fake.Before, Crash: true},
	"crashes after":  {When: fake.After, Crash: true},
}

// eachFault runs a verb with a fault at its first call, its second, and so on
// until it has no more, each time on a new bench that prepare has prepared.
func eachFault(t *testing.T, prepare func(*bench), verb func(*bench) error, check func(*bench)) {
	dataA, dataB := data(t, "a", 9000), data(t, "b", 300)
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			for n := 1; ; n++ {
				b := newBenchOf(t, dataA, dataB)
				prepare(b)
				b.ceph.Reset(fake.At(n, fault))
				err := verb(b)
				if len(b.ceph.Trace()) < n {
					return
				}
				call := b.ceph.Trace()[n-1]
				b.ceph.Restart()
				b.ceph.Reset(nil)
				t.Run(fmt.Sprintf("%d %s", n, call.Port), func(t *testing.T) {
					b.T = t
					t.Logf("the fault gave: %v", err)
					check(b)
				})
			}
		})
	}
}

func loadA(b *bench) error {
	_, err := b.load(b.a)
	return err
}

func nothing(*bench) {}

func loaded(b *bench) { b.mustLoad(b.a) }

func TestImportAfterFault(t *testing.T) {
	fresh := newBench(t)
	loaded(fresh)
	want := len(fresh.ceph.Contents(fresh.at))
	eachFault(t, nothing, loadA, func(b *bench) {
		if g, err := b.lib.Resolve(context.Background(), b.at, b.ref); err == nil && b.stored(g) != g.Digest {
			b.Errorf("usable with wrong content: %+v", g)
		}
		g := b.mustLoad(b.a)
		if b.stored(g) != g.Digest {
			b.Errorf("sealed with wrong content: %+v", g)
		}
		if got := b.ceph.Contents(b.at); len(got) != want {
			b.Errorf("left %q, want %d lines", got, want)
		}
		if err := b.delete(); err != nil {
			b.Error(err)
		}
	})
}

// TestOtherImportAfterFault imports other content: it is refused only where
// the first import came to its end.
func TestOtherImportAfterFault(t *testing.T) {
	eachFault(t, nothing, loadA, func(b *bench) {
		_, ready := b.lib.Resolve(context.Background(), b.at, b.ref)
		g, err := b.load(b.b)
		if ready == nil {
			b.want(err, volume.ErrConflict)
			return
		}
		if err != nil || b.stored(g) != g.Digest {
			b.Errorf("got %+v, %v", g, err)
		}
	})
}

func TestDeleteAfterFaultOfImport(t *testing.T) {
	eachFault(t, nothing, loadA, func(b *bench) {
		g, err := b.get()
		if err != nil {
			b.want(err, volume.ErrNotFound)
			return
		}
		if err := b.delete(); err != nil {
			b.Fatal(err)
		}
		if left := b.ceph.Contents(b.at); g.State == volume.GoldenCreating && len(left) > 0 {
			b.Errorf("left %q", left)
		}
	})
}

func TestDeleteAfterFault(t *testing.T) {
	eachFault(t, loaded, (*bench).delete, func(b *bench) {
		if err := b.delete(); err != nil {
			b.Fatal(err)
		}
		want := []string{"index golden.resnet50.v1", "record golden.resnet50.v1"}
		if got := b.ceph.Contents(b.at); !slices.Equal(got, want) {
			b.Errorf("left %q, want %q", got, want)
		}
	})
}
