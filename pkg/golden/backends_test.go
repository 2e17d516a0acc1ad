package golden_test

import (
	"errors"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// TestOneNameOneBackend has both backends in one Ceph: a name that one of them
// has is taken for the other, which does not touch what it has no image of.
func TestOneNameOneBackend(t *testing.T) {
	b := newBench(t)
	ctx, store := t.Context(), fake.NewFileSystem(b.ceph)
	files := golden.NewLibrary(store, golden.Options{})
	importFiles := func() error {
		_, err := files.ImportFiles(ctx, store, b.at, b.ref, golden.Import{Source: image.Source{Path: b.a}})
		return err
	}
	b.mustLoad(b.a)
	b.want(importFiles(), volume.ErrConflict)
	_, err := files.Resolve(ctx, b.at, b.ref)
	b.want(err, volume.ErrInvalid)
	b.want(files.Delete(ctx, b.at, b.ref), volume.ErrInvalid)
	b.want(b.delete(), nil)
	b.want(importFiles(), volume.ErrConflict) // deleted, and never used again
	b.want(files.Delete(ctx, b.at, b.ref), nil)

	b.ref.Version = "v2"
	b.want(importFiles(), nil)
	_, err = b.load(b.a)
	b.want(err, volume.ErrConflict)
	_, err = b.lib.Resolve(ctx, b.at, b.ref)
	b.want(err, volume.ErrInvalid)
	b.want(b.delete(), volume.ErrInvalid)
	if g, err := b.get(); err != nil || g.Backend() != volume.CephFS {
		t.Errorf("Get = %v of backend %s, %v", g.Ref, g.Backend(), err)
	}
	if g, err := files.Resolve(ctx, b.at, b.ref); err != nil || g.FsType != volume.FilesType {
		t.Errorf("Resolve = %+v, %v", g, err)
	}
}

// TestPurgeLeavesOtherBackends lets the one backend's library look at a
// deletion that the other one has begun.
func TestPurgeLeavesOtherBackends(t *testing.T) {
	b, now := leaving(t)
	files := golden.NewLibrary(fake.NewFileSystem(b.ceph), golden.Options{})
	b.mustLoad(b.a)
	var waiting *golden.Waiting
	if err := b.delete(); !errors.As(err, &waiting) {
		t.Fatalf("Delete = %v", err)
	}
	*now = waiting.Until
	b.want(files.Purge(t.Context(), b.at), nil)
	if got := b.state(); got != volume.GoldenRetired {
		t.Errorf("the golden is %s", got)
	}
	b.purge()
	if got := b.state(); got != volume.GoldenDeleted {
		t.Errorf("the golden is %s after its own library's purge", got)
	}
}
