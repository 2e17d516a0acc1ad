package golden

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/record"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Trees are stores whose images are directories of files. pkg/ceph implements
// it with CephFS, tests/fake in memory.
type Trees interface {
	// OpenDirectory opens an image's content, to be filled.
	OpenDirectory(ctx context.Context, at tenant.Place, name string) (Directory, error)
}

// Directory is an open image that is a directory. Its methods may be called
// concurrently; a directory is made before what is in it.
type Directory interface {
	// Make makes a directory or a symbolic link, or gives the root its owner.
	Make(e image.Entry) error
	// Write makes a file with the content and makes it durable.
	Write(e image.Entry, content io.Reader) error
	// Entries calls visit for what the directory has, as image.Tree.Entries
	// does. Contents can be opened until the directory is closed.
	Entries(visit func(image.Entry) error) error
	io.Closer
}

// ImportFiles is Import into a store whose images are directories. The
// content's digest is taken over a canonical walk: of each name, in byte
// order, its path, kind, owner, permissions and size, a link's target and a
// file's digest. What was written is walked too, and sealed if its digest is
// the same. A file with several names becomes several files.
func (l *Library) ImportFiles(ctx context.Context, to Trees, at tenant.Place, ref volume.GoldenRef, in Import) (volume.Golden, error) {
	unlock, err := l.lock(ctx, at, ref)
	if err != nil {
		return volume.Golden{}, err
	}
	defer unlock()
	rec, err := l.importable(ctx, at, ref)
	if err != nil {
		return volume.Golden{}, err
	}
	scratch := image.NewScratch(in.Scratch)
	// What cannot be removed the next import sweeps.
	defer func() { _ = scratch.Close() }()
	tree, err := image.Open(ctx, in.Source, scratch, func(done int64) { in.report(StepUnpack, done, 0) })
	if err != nil {
		return volume.Golden{}, fmt.Errorf("import golden %s: %w", ref, err)
	}
	defer func() { _ = tree.Close() }()
	f := &filesImport{importing: importing{Library: l, at: at, ref: ref, progress: in.report}, tree: tree}
	if rec.State == volume.GoldenReady {
		err = f.compare(ctx, rec)
	} else {
		rec, err = f.make(ctx, to, rec, in.Note)
	}
	if err != nil {
		return volume.Golden{}, fmt.Errorf("import golden %s: %w", ref, err)
	}
	return rec.Describe(at.Tenant())
}

// filesImport is an import of files under way.
type filesImport struct {
	importing
	tree *image.Tree

	mu   sync.Mutex
	done int64 // bytes
}

// count tells how many bytes more are done, from one goroutine at a time.
func (f *filesImport) count(step Step, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done += int64(n)
	f.progress(step, f.done, f.tree.Bytes())
}

// compare says whether the golden that is there has the same content.
func (f *filesImport) compare(ctx context.Context, rec goldenRecord) error {
	digest, err := f.walk(ctx, StepCompare, f.tree, nil)
	if err == nil && (digest != rec.Digest || rec.FsType != volume.FilesType) {
		err = fmt.Errorf("it is there already with other content (%s, %s; this would be %s, %s): choose another version: %w",
			rec.FsType, rec.Digest, volume.FilesType, digest, volume.ErrConflict)
	}
	return err
}

// make seeds and seals the golden, as importing.make does.
func (f *filesImport) make(ctx context.Context, to Trees, old goldenRecord, note string) (goldenRecord, error) {
	rec := goldenRecord{
		Head: record.NewHead(), State: volume.GoldenCreating, Golden: f.ref.Name + ":" + f.ref.Version,
		FsType: volume.FilesType, Size: max(roundUp(f.tree.Bytes()), volume.MinSize), DataBytes: f.tree.Bytes(), Source: note,
		Created: f.now().UTC().Truncate(time.Second), Attempt: rand.Text(),
	}
	if err := f.begin(ctx, old, &rec); err != nil {
		return goldenRecord{}, err
	}
	var err error
	if rec.Digest, err = f.seed(ctx, to); err == nil {
		err = f.fence(ctx, rec)
	}
	if err == nil {
		rec, err = f.snapshot(ctx, rec)
	}
	if err != nil {
		return goldenRecord{}, f.giveUp(ctx, err)
	}
	rec.State = volume.GoldenReady
	return rec, f.update(ctx, f.at, f.ref, &rec)
}

// seed makes the directory, gives it its content and reads that back. It is
// opened anew for that, so that what is read comes from Ceph.
func (f *filesImport) seed(ctx context.Context, to Trees) (digest string, err error) {
	if err := f.store.CreateImage(ctx, f.at, f.ref.Image(), f.tree.Bytes()); err != nil {
		return "", err
	}
	digest, err = f.in(ctx, to, func(dir Directory) (string, error) { return f.walk(ctx, StepWrite, f.tree, dir) })
	if err != nil {
		return "", err
	}
	back, err := f.in(ctx, to, func(dir Directory) (string, error) { return f.walk(ctx, StepVerify, dir, nil) })
	if err == nil && back != digest {
		err = fmt.Errorf("what Ceph gave back is not what was written (%s, not %s): look at the health of the cluster and import again: %w", back, digest, volume.ErrUnavailable)
	}
	return digest, err
}

// in opens the golden's directory for a walk.
func (f *filesImport) in(ctx context.Context, to Trees, walk func(Directory) (string, error)) (string, error) {
	dir, err := to.OpenDirectory(ctx, f.at, f.ref.Image())
	if err != nil {
		return "", err
	}
	digest, err := walk(dir)
	if closed := during("close the directory", dir.Close()); err == nil {
		err = closed
	}
	return digest, err
}
