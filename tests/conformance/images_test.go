package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func TestImages(t *testing.T) {
	onEach(t, func(t *testing.T, s stand) {
		t.Run("one", func(t *testing.T) { oneImage(t, s) })
		t.Run("content", func(t *testing.T) { imageContent(t, s) })
		t.Run("rename", func(t *testing.T) { renameImage(t, s) })
		t.Run("snapshot", func(t *testing.T) { snapshots(t, s) })
		t.Run("clone", func(t *testing.T) { clones(t, s) })
		t.Run("trash", func(t *testing.T) { trash(t, s) })
		t.Run("race", func(t *testing.T) { racingImages(t, s) })
		t.Run("sixty clones", func(t *testing.T) { sixtyClones(t, s) })
		t.Run("free", func(t *testing.T) { free(t, s) })
		s.expectNothing(t, s.acme)
		s.expectNothing(t, s.public)
	})
}

// size returns an image's size by taking a snapshot.
func (s stand) size(t *testing.T, at tenant.Place, name string) int64 {
	t.Helper()
	must(t, s.CreateSnapshot(t.Context(), at, name, "size"))
	info, err := s.Snapshot(t.Context(), at, name, "size")
	must(t, err)
	must(t, s.RemoveSnapshot(t.Context(), at, name, "size"))
	return info.Size
}

func oneImage(t *testing.T, s stand) {
	ctx, at := t.Context(), s.acme
	_, err := s.ImageID(ctx, at, "vol.a")
	expect(t, "id without one", err, volume.ErrNotFound)
	expect(t, "resize without one", s.ResizeImage(ctx, at, "vol.a", mib), volume.ErrNotFound)
	expect(t, "remove without one", s.RemoveImage(ctx, at, "vol.a"), nil)
	must(t, s.CreateImage(ctx, at, "vol.a", 8*mib))
	expect(t, "create again", s.CreateImage(ctx, at, "vol.a", 4*mib), volume.ErrExists)
	id, err := s.ImageID(ctx, at, "vol.a")
	must(t, err)
	_, err = s.ImageID(ctx, s.public, "vol.a")
	expect(t, "id in another place", err, volume.ErrNotFound)
	must(t, s.ResizeImage(ctx, at, "vol.a", 16*mib))
	must(t, s.ResizeImage(ctx, at, "vol.a", 16*mib))
	must(t, s.ResizeImage(ctx, at, "vol.a", 4*mib)) // never smaller
	if got := s.size(t, at, "vol.a"); got != 16*mib {
		t.Fatalf("the image has %d bytes", got)
	}
	if again, err := s.ImageID(ctx, at, "vol.a"); err != nil || again != id || id == "" {
		t.Fatalf("id %q, %v, was %q", again, err, id)
	}
	must(t, s.RemoveImage(ctx, at, "vol.a"))
	_, err = s.ImageID(ctx, at, "vol.a")
	expect(t, "id after removal", err, volume.ErrNotFound)
	must(t, s.CreateImage(ctx, at, "vol.a", mib))
	if again, err := s.ImageID(ctx, at, "vol.a"); err != nil || again == id {
		t.Fatalf("a new image has the id %q of the old one, %v", again, err)
	}
	must(t, s.RemoveImage(ctx, at, "vol.a"))
}

func imageContent(t *testing.T, s stand) {
	ctx, at := t.Context(), s.acme
	_, err := s.OpenImage(ctx, at, "vol.b")
	expect(t, "open without one", err, volume.ErrNotFound)
	must(t, s.CreateImage(ctx, at, "vol.b", 16*mib))
	image, err := s.OpenImage(ctx, at, "vol.b")
	must(t, err)
	data := make([]byte, 100)
	if n, err := image.ReadAt(data, 5*mib); n != 100 || err != nil || string(data) != strings.Repeat("\x00", 100) {
		t.Fatalf("a new image reads %q (%d bytes, %v)", data, n, err)
	}
	for _, err := range race(8, func(i int) error {
		// Each across the border of two objects.
		_, err := image.WriteAt([]byte(strings.Repeat(fmt.Sprint(i), 1000)), int64(i+1)*mib-500)
		return err
	}) {
		must(t, err)
	}
	must(t, image.Flush())
	if n, err := image.ReadAt(data, 16*mib-40); n != 40 || !errors.Is(err, io.EOF) {
		t.Fatalf("a read over the end gives %d bytes, %v", n, err)
	}
	if _, err := image.WriteAt(data, 16*mib-40); err == nil {
		t.Fatal("a write over the end succeeded")
	}
	expect(t, "remove an open image", s.RemoveImage(ctx, at, "vol.b"), volume.ErrInUse)
	must(t, image.Close())
	for i := range 8 {
		if got := s.read(t, at, "vol.b", 1000, int64(i+1)*mib-500); got != strings.Repeat(fmt.Sprint(i), 1000) {
			t.Fatalf("part %d reads %.20q", i, got)
		}
	}
	must(t, s.RemoveImage(ctx, at, "vol.b"))
}

func renameImage(t *testing.T, s stand) {
	ctx, at := t.Context(), s.acme
	expect(t, "rename without one", s.RenameImage(ctx, at, "vol.c", "del.c"), volume.ErrNotFound)
	must(t, s.CreateImage(ctx, at, "vol.c", mib))
	must(t, s.CreateImage(ctx, at, "del.x", mib))
	expect(t, "rename to a taken name", s.RenameImage(ctx, at, "vol.c", "del.x"), volume.ErrExists)
	must(t, s.CreateSnapshot(ctx, at, "vol.c", "s"))
	id, err := s.ImageID(ctx, at, "vol.c")
	must(t, err)
	must(t, s.RenameImage(ctx, at, "vol.c", "del.c"))
	_, err = s.ImageID(ctx, at, "vol.c")
	expect(t, "id of the old name", err, volume.ErrNotFound)
	if again, err := s.ImageID(ctx, at, "del.c"); err != nil || again != id {
		t.Fatalf("id %q, %v, was %q", again, err, id)
	}
	must(t, s.CloneImage(ctx, rbd.Parent{Place: at, Image: "del.c", Snapshot: "s"}, at, "vol.d"))
	must(t, s.RemoveImage(ctx, at, "vol.d"))
	must(t, s.RemoveSnapshot(ctx, at, "del.c", "s"))
	must(t, s.RemoveImage(ctx, at, "del.c"))
	must(t, s.RemoveImage(ctx, at, "del.x"))
}

func snapshots(t *testing.T, s stand) {
	ctx, at := t.Context(), s.acme
	expect(t, "snapshot without image", s.CreateSnapshot(ctx, at, "vol.e", "s"), volume.ErrNotFound)
	_, err := s.Snapshot(ctx, at, "vol.e", "s")
	expect(t, "look without image", err, volume.ErrNotFound)
	_, err = s.SnapshotID(ctx, at, "vol.e", "s")
	expect(t, "id without image", err, volume.ErrNotFound)
	_, err = s.Children(ctx, at, "vol.e", "s")
	expect(t, "children without image", err, volume.ErrNotFound)
	expect(t, "remove without image", s.RemoveSnapshot(ctx, at, "vol.e", "s"), nil)
	must(t, s.CreateImage(ctx, at, "vol.e", 4*mib))
	_, err = s.Snapshot(ctx, at, "vol.e", "s")
	expect(t, "look without snapshot", err, volume.ErrNotFound)
	_, err = s.Children(ctx, at, "vol.e", "s")
	expect(t, "children without snapshot", err, volume.ErrNotFound)
	expect(t, "remove without snapshot", s.RemoveSnapshot(ctx, at, "vol.e", "s"), nil)
	must(t, s.CreateSnapshot(ctx, at, "vol.e", "s"))
	expect(t, "snapshot again", s.CreateSnapshot(ctx, at, "vol.e", "s"), volume.ErrExists)
	must(t, s.ResizeImage(ctx, at, "vol.e", 8*mib))
	info, err := s.Snapshot(ctx, at, "vol.e", "s")
	must(t, err)
	if info.Size != 4*mib || info.ID == 0 || info.Created.Before(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Fatalf("the snapshot is %+v", info)
	}
	if id, err := s.SnapshotID(ctx, at, "vol.e", "s"); err != nil || id != info.ID {
		t.Fatalf("id %d, %v, not %d", id, err, info.ID)
	}
	expect(t, "remove an image with a snapshot", s.RemoveImage(ctx, at, "vol.e"), volume.ErrHasSnapshots)
	must(t, s.RemoveSnapshot(ctx, at, "vol.e", "s"))
	must(t, s.RemoveImage(ctx, at, "vol.e"))
}

func clones(t *testing.T, s stand) {
	ctx := t.Context()
	parent := rbd.Parent{Place: s.public, Image: "golden.a.v1", Snapshot: "sealed"}
	expect(t, "clone without image", s.CloneImage(ctx, parent, s.acme, "vol.f"), volume.ErrNotFound)
	must(t, s.CreateImage(ctx, s.public, parent.Image, 8*mib))
	s.write(t, s.public, parent.Image, "weights", mib)
	expect(t, "clone without snapshot", s.CloneImage(ctx, parent, s.acme, "vol.f"), volume.ErrNotFound)
	_, err := s.ImageID(ctx, s.acme, "vol.f")
	expect(t, "id of what was not cloned", err, volume.ErrNotFound)
	must(t, s.CreateSnapshot(ctx, s.public, parent.Image, parent.Snapshot))
	s.write(t, s.public, parent.Image, "changed", mib)
	s.expectChildren(t, parent, 0)
	must(t, s.CloneImage(ctx, parent, s.acme, "vol.f"))
	expect(t, "clone again", s.CloneImage(ctx, parent, s.acme, "vol.f"), volume.ErrExists)
	must(t, s.CloneImage(ctx, parent, s.public, "vol.f"))
	s.expectChildren(t, parent, 2)
	if got := s.read(t, s.acme, "vol.f", 7, mib); got != "weights" {
		t.Fatalf("the clone reads %q", got)
	}
	s.write(t, s.acme, "vol.f", "mine", mib)
	if got := s.read(t, s.public, "vol.f", 7, mib); got != "weights" {
		t.Fatalf("the other clone reads %q", got)
	}
	if got := s.size(t, s.acme, "vol.f"); got != 8*mib {
		t.Fatalf("the clone has %d bytes", got)
	}
	must(t, s.RemoveImage(ctx, s.public, "vol.f"))
	s.expectChildren(t, parent, 1)
	must(t, s.RemoveImage(ctx, s.acme, "vol.f"))
	s.expectChildren(t, parent, 0)
	must(t, s.RemoveSnapshot(ctx, s.public, parent.Image, parent.Snapshot))
	must(t, s.RemoveImage(ctx, s.public, parent.Image))
}

func (s stand) expectChildren(t *testing.T, of rbd.Parent, want int) {
	t.Helper()
	n, err := s.Children(t.Context(), of.Place, of.Image, of.Snapshot)
	must(t, err)
	if n != want {
		t.Fatalf("%s has %d children, want %d", of.Image, n, want)
	}
}

// trash removes a snapshot before its clones.
func trash(t *testing.T, s stand) {
	ctx, at := t.Context(), s.acme
	must(t, s.CreateImage(ctx, at, "vol.g", 4*mib))
	s.write(t, at, "vol.g", "kept", 0)
	must(t, s.CreateSnapshot(ctx, at, "vol.g", "s"))
	parent := rbd.Parent{Place: at, Image: "vol.g", Snapshot: "s"}
	must(t, s.CloneImage(ctx, parent, at, "vol.h"))
	must(t, s.CloneImage(ctx, parent, s.public, "vol.h"))
	must(t, s.RemoveSnapshot(ctx, at, "vol.g", "s"))
	must(t, s.RemoveSnapshot(ctx, at, "vol.g", "s"))
	_, err := s.Snapshot(ctx, at, "vol.g", "s")
	expect(t, "look into the trash", err, volume.ErrNotFound)
	expect(t, "clone from the trash", s.CloneImage(ctx, parent, at, "vol.i"), volume.ErrNotFound)
	expect(t, "remove an image with a snapshot in the trash", s.RemoveImage(ctx, at, "vol.g"), volume.ErrHasSnapshots)
	must(t, s.RenameImage(ctx, at, "vol.g", "del.g"))
	if got := s.read(t, at, "vol.h", 4, 0); got != "kept" {
		t.Fatalf("the clone reads %q", got)
	}
	must(t, s.CreateSnapshot(ctx, at, "del.g", "s")) // the name is free again
	must(t, s.RemoveSnapshot(ctx, at, "del.g", "s"))
	must(t, s.RemoveImage(ctx, at, "vol.h"))
	expect(t, "remove an image with one clone left", s.RemoveImage(ctx, at, "del.g"), volume.ErrHasSnapshots)
	must(t, s.RemoveImage(ctx, s.public, "vol.h"))
	must(t, s.RemoveImage(ctx, at, "del.g"))
}

func racingImages(t *testing.T, s stand) {
	ctx, at := t.Context(), s.acme
	expectOne(t, "create", race(8, func(int) error { return s.CreateImage(ctx, at, "vol.j", 4*mib) }), volume.ErrExists)
	for _, err := range race(8, func(int) error { return s.CreateSnapshot(ctx, at, "vol.j", "s") }) {
		if err != nil {
			expect(t, "snapshot", err, volume.ErrExists)
		}
	}
	parent := rbd.Parent{Place: at, Image: "vol.j", Snapshot: "s"}
	expectOne(t, "clone", race(8, func(int) error { return s.CloneImage(ctx, parent, at, "vol.k") }), volume.ErrExists)
	s.expectChildren(t, parent, 1)
	s.write(t, at, "vol.k", "whole", 0) // the one that is left can be used
	must(t, s.RemoveImage(ctx, at, "vol.k"))
	for _, err := range race(4, func(int) error { return s.RemoveSnapshot(ctx, at, "vol.j", "s") }) {
		must(t, err)
	}
	must(t, s.RemoveImage(ctx, at, "vol.j"))
}

// sixtyClones are made of one snapshot at once, and removed at once.
func sixtyClones(t *testing.T, s stand) {
	ctx := context.WithoutCancel(t.Context())
	parent := rbd.Parent{Place: s.public, Image: "golden.b.v1", Snapshot: "sealed"}
	must(t, s.CreateImage(ctx, s.public, parent.Image, 4*mib))
	s.write(t, s.public, parent.Image, "weights", 0)
	must(t, s.CreateSnapshot(ctx, s.public, parent.Image, parent.Snapshot))
	name := func(i int) string { return fmt.Sprintf("vol.%02d", i) }
	for _, err := range race(60, func(i int) error { return s.CloneImage(ctx, parent, s.acme, name(i)) }) {
		must(t, err)
	}
	s.expectChildren(t, parent, 60)
	ids := map[string]bool{}
	for i := range 60 {
		id, err := s.ImageID(ctx, s.acme, name(i))
		must(t, err)
		ids[id] = true
	}
	if len(ids) != 60 {
		t.Fatalf("60 clones have %d ids", len(ids))
	}
	if got := s.read(t, s.acme, name(59), 7, 0); got != "weights" {
		t.Fatalf("a clone reads %q", got)
	}
	for _, err := range race(60, func(i int) error { return s.RemoveImage(ctx, s.acme, name(i)) }) {
		must(t, err)
	}
	must(t, s.RemoveSnapshot(ctx, s.public, parent.Image, parent.Snapshot))
	must(t, s.RemoveImage(ctx, s.public, parent.Image))
}

func free(t *testing.T, s stand) {
	n, err := s.Free(t.Context(), s.acme)
	must(t, err)
	if n <= 0 {
		t.Fatalf("%d bytes are free", n)
	}
}
