package conformance

import (
	"context"
	"fmt"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// onFiles runs the test on the fake's file system and on a real one.
func onFiles(t *testing.T, test func(*testing.T, backend, cephfs.Cluster)) {
	for name, begin := range map[string]func(*testing.T) backend{"fake": fakeFiles, "ceph": realFiles} {
		t.Run(name, func(t *testing.T) {
			b := begin(t)
			files, ok := b.store.(cephfs.Cluster)
			if !ok {
				t.Fatalf("%T is no cephfs.Cluster", b.store)
			}
			test(t, b, files)
		})
	}
}

// TestReferences takes a snapshot that is not there through the life of its
// references: they are kept for themselves.
func TestReferences(t *testing.T) {
	onFiles(t, func(t *testing.T, b backend, f cephfs.Cluster) {
		ctx := t.Context()
		of := cephfs.Snapshot{Tenant: b.acme.Tenant(), Subvolume: "golden.m.v1", Name: "sealed"}
		other := of
		other.Subvolume = "golden.m.v10"
		has := func(user string, want bool) {
			t.Helper()
			if got, err := f.HasReference(ctx, b.acme, of, user); err != nil || got != want {
				t.Errorf("HasReference(%s) = %t, %v; want %t", user, got, err, want)
			}
		}
		has("a", false)
		expect(t, "remove what is not there", f.RemoveReference(ctx, b.acme, of, "a"), nil)
		must(t, f.AddReference(ctx, b.acme, of, "a"))
		must(t, f.AddReference(ctx, b.acme, of, "a"))
		must(t, f.AddReference(ctx, b.public, of, "ab")) // from wherever
		has("a", true)
		has("ab", true)
		has("b", false)
		expect(t, "close with two", f.CloseReferences(ctx, b.acme, of), volume.ErrInUse)
		must(t, f.RemoveReference(ctx, b.acme, of, "a"))
		has("a", false)
		expect(t, "close with one", f.CloseReferences(ctx, b.acme, of), volume.ErrInUse)
		expect(t, "remove a snapshot with one", f.RemoveSnapshot(ctx, b.acme, of.Subvolume, of.Name), volume.ErrInUse)
		must(t, f.AddReference(ctx, b.acme, of, "c")) // open again
		must(t, f.RemoveReference(ctx, b.acme, of, "ab"))
		must(t, f.RemoveReference(ctx, b.acme, of, "c"))
		expect(t, "close", f.CloseReferences(ctx, b.acme, of), nil)
		expect(t, "close a closed one", f.CloseReferences(ctx, b.acme, of), nil)
		expect(t, "add to a closed one", f.AddReference(ctx, b.acme, of, "d"), volume.ErrNotFound)
		must(t, f.AddReference(ctx, b.acme, other, "d"))
		must(t, f.RemoveReference(ctx, b.acme, other, "d"))
		for _, one := range []cephfs.Snapshot{of, other} {
			expect(t, "remove", f.RemoveSnapshot(ctx, b.acme, one.Subvolume, one.Name), nil)
		}
		b.expectNothing(t, b.acme)
	})
}

// TestReferenceRace adds references while several removals close them: not both
// succeed. Some come with a user that goes meanwhile.
func TestReferenceRace(t *testing.T) {
	onFiles(t, func(t *testing.T, b backend, f cephfs.Cluster) {
		ctx := context.Background()
		for round := range 40 {
			of := cephfs.Snapshot{Tenant: b.acme.Tenant(), Subvolume: "golden.m.v1", Name: fmt.Sprint("s", round)}
			must(t, f.AddReference(ctx, b.acme, of, "first"))
			errs := race(8, func(i int) error {
				switch {
				case i == 0:
					return f.RemoveReference(ctx, b.acme, of, "first")
				case i < 5:
					return f.CloseReferences(ctx, b.acme, of)
				}
				return f.AddReference(ctx, b.acme, of, fmt.Sprint("user ", i))
			})
			closed, added := 0, 0
			for i, err := range errs {
				switch {
				case i > 0 && i < 5 && err == nil:
					closed++
				case i >= 5 && err == nil:
					added++
				case !isOneOf(err, nil, volume.ErrInUse, volume.ErrNotFound, volume.ErrPending):
					t.Errorf("round %d, call %d: %v", round, i, err)
				}
			}
			if closed > 0 && added > 0 {
				t.Errorf("round %d: %d removals found nobody, and %d users were added: %v", round, closed, added, errs)
			}
			for i := 5; i < 8; i++ {
				must(t, f.RemoveReference(ctx, b.acme, of, fmt.Sprint("user ", i)))
			}
			must(t, f.RemoveSnapshot(ctx, b.acme, of.Subvolume, of.Name))
		}
		b.expectNothing(t, b.acme)
	})
}
