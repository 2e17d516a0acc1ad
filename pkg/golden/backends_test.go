package golden_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// directories is a Ceph whose images are directories that keep nothing.
type directories struct{ *fake.Ceph }

func (directories) OpenDirectory(context.Context, tenant.Place, string) (golden.Directory, error) {
	return nowhere{}, nil
}

type nowhere struct{ io.Closer }

func (nowhere) Make(image.Entry) error { return nil }

func (nowhere) Write(_ image.Entry, content io.Reader) error {
	_, err := io.Copy(io.Discard, content)
	return err
}

func (nowhere) Close() error { return nil }

// TestOneNameOneBackend has both backends in one Ceph: a name that one of them
// has is taken for the other, which does not touch what it has no image of.
func TestOneNameOneBackend(t *testing.T) {
	b := newBench(t)
	ctx, store := t.Context(), directories{b.ceph}
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
	files := golden.NewLibrary(directories{b.ceph}, golden.Options{})
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
