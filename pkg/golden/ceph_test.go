package golden_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

// TestOnRealCeph takes a golden through its whole life on a real Ceph.
func TestOnRealCeph(t *testing.T) {
	ctx := context.Background()
	at, err := realceph.Policy(t, "acme").Default("acme", "")
	if err != nil {
		t.Fatal(err)
	}
	c := ceph.NewCluster(ceph.Options{})
	t.Cleanup(c.Close)
	l := golden.NewLibrary(c, golden.Options{})
	ref := volume.GoldenRef{Name: "model", Version: "v1"}
	dir := t.TempDir()
	for name, size := range map[string]int64{"weights": 30 << 20, "labels": 1000} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(f, rand.Reader, size); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	in := golden.Import{Source: image.Source{Path: dir}}
	stopped, stop := context.WithCancel(ctx)
	interrupted := in
	interrupted.Progress = func(_ golden.Step, done, _ int64) {
		if done > 8<<20 {
			stop()
		}
	}
	if _, err := l.Import(stopped, at, ref, interrupted); !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted import: %v", err)
	}
	if _, err := l.Get(ctx, at, ref); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("after an interrupted import: %v", err)
	}
	g, err := l.Import(ctx, at, ref, in)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := l.Import(ctx, at, ref, in); err != nil || again != g {
		t.Errorf("imported again: %+v, %v", again, err)
	}
	parent := rbd.Parent{Place: at, Image: ref.Image(), Snapshot: volume.SealedSnapshot}
	if err := c.CloneImage(ctx, parent, at, "clone"); err != nil {
		t.Fatal(err)
	}
	clone, err := c.OpenImage(ctx, at, "clone")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	_, err = io.Copy(sum, io.NewSectionReader(clone, 0, g.DataBytes))
	clone.Close()
	if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); err != nil || got != g.Digest {
		t.Errorf("the clone has %s, %v, the golden %s", got, err, g.Digest)
	}
	if err := l.Delete(ctx, at, ref); !errors.Is(err, volume.ErrInUse) {
		t.Errorf("delete with a clone: %v", err)
	}
	if err := c.RemoveImage(ctx, at, "clone"); err != nil {
		t.Fatal(err)
	}
	if err := l.Delete(ctx, at, ref); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ImageID(ctx, at, ref.Image()); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("the image after the deletion: %v", err)
	}
	if _, err := l.Import(ctx, at, ref, in); !errors.Is(err, volume.ErrConflict) {
		t.Errorf("import under a deleted name: %v", err)
	}
}
