package rbd_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// erofsMagic is at byte 1024 of an EROFS.
const erofsMagic = "\xe2\xe1\xf5\xe0"

// TestGoldenDeletedMeanwhile lets a golden be deleted between any two steps
// of a creation from it, and the other way round. Either the volume is not
// made, or it can be read; and when both are deleted, only the golden's record
// is left, which keeps its name from being used again.
func TestGoldenDeletedMeanwhile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "model")
	if err := os.WriteFile(file, []byte("weights"), 0o600); err != nil {
		t.Fatal(err)
	}
	ref := volume.GoldenRef{Tenant: "public", Name: "m", Version: "v1"}
	for name, createOutside := range map[string]bool{"delete within create": true, "create within delete": false} {
		t.Run(name, func(t *testing.T) {
			for n := 1; ; n++ {
				w := newWorld(t)
				library := golden.NewLibrary(w.ceph, golden.Options{InFlight: 1})
				_, err := library.Import(t.Context(), w.public, ref, golden.Import{Source: image.Source{Path: file}})
				w.must(err)
				create := func() error {
					spec := volume.Spec{Name: "v", ReadOnly: true, Source: volume.Source{Golden: ref}}
					_, err := rbd.NewProvisioner(w.ceph, library).Create(t.Context(), w.at, w.public, w.id("v"), spec)
					return err
				}
				remove := func() error { return library.Delete(t.Context(), w.public, ref) }
				outer, inner := create, remove
				if !createOutside {
					outer, inner = remove, create
				}
				if !w.between(n, outer, inner, volume.ErrNotFound, volume.ErrInUse) {
					return
				}
				for name := range w.volumes() {
					if text, err := w.ceph.Peek(w.at, "vol."+w.id(name).Hash, 1028); err != nil || !strings.HasSuffix(text, erofsMagic) {
						t.Fatalf("met at effect %d: the volume does not read as an EROFS: %v", n, err)
					}
				}
				w.run(w.delete("v"), remove())
				w.expect("both are deleted", nil)
				if _, err := w.ceph.ImageID(t.Context(), w.public, ref.Image()); !errors.Is(err, volume.ErrNotFound) {
					t.Fatalf("met at effect %d: the golden's image is left: %v", n, err)
				}
			}
		})
	}
}

// between runs inner before the n-th effect of outer and says whether there
// was one. Each succeeds or wraps one of the allowed errors.
func (w *world) between(n int, outer, inner func() error, allowed ...error) (met bool) {
	w.t.Helper()
	var innerErr error
	w.ceph.Reset(func(c fake.Call) fake.Fault {
		if c.N == n && !met {
			met = true
			innerErr = inner()
		}
		return fake.Fault{}
	})
	outerErr := outer()
	w.ceph.Reset(nil)
	for _, err := range []error{outerErr, innerErr} {
		ok := err == nil
		for _, a := range allowed {
			ok = ok || errors.Is(err, a)
		}
		if !ok {
			w.t.Fatalf("met at effect %d: %v", n, err)
		}
	}
	return met
}
