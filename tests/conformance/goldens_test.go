package conformance

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// importing imports a directory in the backend's way.
func (b backend) importing(l *golden.Library, ref volume.GoldenRef, dir string) (volume.Golden, error) {
	in := golden.Import{Source: image.Source{Path: dir}}
	if trees, ok := b.store.(golden.Trees); ok {
		return l.ImportFiles(context.Background(), trees, b.public, ref, in)
	}
	return l.Import(context.Background(), b.public, ref, in)
}

// TestGoldenInUse deletes a golden while volumes need it, and when the last one
// has gone.
func TestGoldenInUse(t *testing.T) {
	onBackends(t, func(t *testing.T, b backend) {
		ctx, dir := t.Context(), t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "model"), []byte("weights"), 0o644))
		ref := volume.GoldenRef{Tenant: b.public.Tenant(), Name: "resnet50", Version: "v1"}
		l := golden.NewLibrary(b.store, golden.Options{})
		first, err := b.importing(l, ref, dir)
		must(t, err)
		again, err := b.importing(l, ref, dir)
		if err != nil || again.Digest != first.Digest {
			t.Errorf("the same again: %s after %s, %v", again.Digest, first.Digest, err)
		}
		p := b.begin(l)
		show := func(at tenant.Place, name string) error {
			spec := volume.Spec{Name: name, ReadOnly: true, Source: volume.Source{Golden: ref}}
			_, err := p.Create(ctx, at, b.public, at.VolumeID(b.kind, name), spec)
			return err
		}
		must(t, errors.Join(show(b.acme, "a"), show(b.public, "b")))
		expect(t, "delete with two users", l.Delete(ctx, b.public, ref), volume.ErrInUse)
		must(t, p.Delete(ctx, b.acme, b.id("a")))
		expect(t, "delete with one user", l.Delete(ctx, b.public, ref), volume.ErrInUse)
		must(t, p.Delete(ctx, b.public, b.public.VolumeID(b.kind, "b")))
		expect(t, "delete without users", l.Delete(ctx, b.public, ref), nil)
		expect(t, "use of a deleted one", show(b.acme, "c"), volume.ErrNotFound)
		_, err = b.importing(l, ref, dir)
		expect(t, "its name again", err, volume.ErrConflict)
		b.expectNothing(t, b.acme)
	})
}

// TestGoldenRace deletes a golden while volumes are made of it: those that are
// made show it.
func TestGoldenRace(t *testing.T) {
	onBackends(t, func(t *testing.T, b backend) {
		ctx, dir := t.Context(), t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "model"), []byte("weights"), 0o644))
		ref := volume.GoldenRef{Tenant: b.public.Tenant(), Name: "resnet50", Version: "v1"}
		l := golden.NewLibrary(b.store, golden.Options{})
		_, err := b.importing(l, ref, dir)
		must(t, err)
		p := b.begin(l)
		id := func(i int) volume.ID { return b.id(string(rune('a' + i))) }
		errs := race(5, func(i int) error {
			if i == 4 {
				return l.Delete(ctx, b.public, ref)
			}
			spec := volume.Spec{Name: string(rune('a' + i)), ReadOnly: true, Source: volume.Source{Golden: ref}}
			_, err := p.Create(ctx, b.acme, b.public, id(i), spec)
			return err
		})
		for i, err := range errs {
			if !isOneOf(err, nil, volume.ErrNotFound, volume.ErrInUse, volume.ErrPending) {
				t.Errorf("call %d: %v", i, err)
			}
			if i < 4 && err == nil && b.has(holds) && errs[4] == nil {
				t.Errorf("a golden went that a volume shows: %v", errs)
			}
		}
		for i := range 4 {
			must(t, p.Delete(ctx, b.acme, id(i)))
		}
		must(t, l.Delete(ctx, b.public, ref))
		b.expectNothing(t, b.acme)
	})
}
