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
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

// life is a golden on a real Ceph.
type life struct {
	*testing.T
	ceph    *ceph.Cluster
	library *golden.Library
	at      tenant.Place
	ref     volume.GoldenRef
	in      golden.Import
}

// TestOnRealCeph takes a golden through its whole life.
func TestOnRealCeph(t *testing.T) {
	at, err := realceph.Policy(t, "acme").Default("acme", "")
	if err != nil {
		t.Fatal(err)
	}
	c := ceph.NewCluster(ceph.Options{})
	t.Cleanup(c.Close)
	l := &life{T: t, ceph: c, library: golden.NewLibrary(c, golden.Options{}), at: at, ref: volume.GoldenRef{Name: "model", Version: "v1"}}
	l.in.Source.Path = t.TempDir()
	l.random("weights", 30<<20)
	l.random("labels", 1000)
	l.interrupt()
	g, err := l.library.Import(t.Context(), l.at, l.ref, l.in)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := l.library.Import(t.Context(), l.at, l.ref, l.in); err != nil || again != g {
		t.Errorf("imported again: %+v, %v", again, err)
	}
	l.clone(g)
	l.end()
}

func (l *life) random(name string, size int64) {
	f, err := os.Create(filepath.Join(l.in.Source.Path, name))
	if err != nil {
		l.Fatal(err)
	}
	defer f.Close()
	if _, err := io.CopyN(f, rand.Reader, size); err != nil {
		l.Fatal(err)
	}
}

// interrupt presses Ctrl-C when an import begins to write.
func (l *life) interrupt() {
	ctx, stop := context.WithCancel(l.Context())
	in := l.in
	in.Progress = func(golden.Step, int64, int64) { stop() }
	if _, err := l.library.Import(ctx, l.at, l.ref, in); !errors.Is(err, context.Canceled) {
		l.Fatalf("interrupted import: %v", err)
	}
	if _, err := l.library.Get(l.Context(), l.at, l.ref); !errors.Is(err, volume.ErrNotFound) {
		l.Errorf("after an interrupted import: %v", err)
	}
}

// clone reads the golden through a clone, which keeps it from being deleted.
func (l *life) clone(g volume.Golden) {
	parent := rbd.Parent{Place: l.at, Image: l.ref.Image(), Snapshot: volume.SealedSnapshot}
	if err := l.ceph.CloneImage(l.Context(), parent, l.at, "clone"); err != nil {
		l.Fatal(err)
	}
	clone, err := l.ceph.OpenImage(l.Context(), l.at, "clone")
	if err != nil {
		l.Fatal(err)
	}
	sum := sha256.New()
	_, err = io.Copy(sum, io.NewSectionReader(clone, 0, g.DataBytes))
	clone.Close()
	if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); err != nil || got != g.Digest {
		l.Errorf("the clone has %s, %v, the golden %s", got, err, g.Digest)
	}
	if err := l.library.Delete(l.Context(), l.at, l.ref); !errors.Is(err, volume.ErrInUse) {
		l.Errorf("delete with a clone: %v", err)
	}
	if err := l.ceph.RemoveImage(l.Context(), l.at, "clone"); err != nil {
		l.Fatal(err)
	}
}

// end deletes the golden, for good.
func (l *life) end() {
	if err := l.library.Delete(l.Context(), l.at, l.ref); err != nil {
		l.Fatal(err)
	}
	if _, err := l.ceph.ImageID(l.Context(), l.at, l.ref.Image()); !errors.Is(err, volume.ErrNotFound) {
		l.Errorf("the image after the deletion: %v", err)
	}
	if _, err := l.library.Import(l.Context(), l.at, l.ref, l.in); !errors.Is(err, volume.ErrConflict) {
		l.Errorf("import under a deleted name: %v", err)
	}
}
