package golden

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

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
	io.Closer
}

// ImportFiles is Import into a store whose images are directories. The
// content's digest is taken over a canonical walk: of each name, in byte
// order, its path, kind, owner, permissions and size, a link's target and a
// file's digest.
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
	digest, err := f.walk(ctx, nil)
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

// seed makes the directory and gives it its content.
func (f *filesImport) seed(ctx context.Context, to Trees) (digest string, err error) {
	if err := f.store.CreateImage(ctx, f.at, f.ref.Image(), f.tree.Bytes()); err != nil {
		return "", err
	}
	dir, err := to.OpenDirectory(ctx, f.at, f.ref.Image())
	if err != nil {
		return "", err
	}
	digest, err = f.walk(ctx, dir)
	if closed := during("close the directory", dir.Close()); err == nil {
		err = closed
	}
	return digest, err
}

// line is one entry's part in the digest.
type line struct {
	image.Entry
	content [sha256.Size]byte // the digest of a file
}

// walk writes all entries, files in parallel, into a directory (nil: nowhere)
// and returns the digest of the whole.
func (f *filesImport) walk(ctx context.Context, to Directory) (string, error) {
	var lines []*line
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(f.inFlight)
	err := f.tree.Entries(func(e image.Entry) error {
		l := &line{Entry: e}
		lines = append(lines, l)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case e.Kind == image.File:
			group.Go(func() error { return f.file(ctx, l, to) })
			return nil
		case to == nil:
			return nil
		}
		return to.Make(e)
	})
	if failed := group.Wait(); failed != nil {
		err = failed // the reason why the walk was given up
	}
	if err != nil {
		return "", err
	}
	return digestOf(lines), nil
}

// file writes one file and takes its digest.
func (f *filesImport) file(ctx context.Context, l *line, to Directory) error {
	content, err := l.Open()
	if err != nil {
		return err
	}
	defer content.Close()
	sum := sha256.New()
	step := StepCompare
	if to != nil {
		step = StepWrite
	}
	read := io.TeeReader(&counted{ctx: ctx, content: content, each: func(n int) { f.count(step, n) }}, sum)
	if to == nil {
		_, err = io.Copy(io.Discard, read)
	} else {
		err = to.Write(l.Entry, read)
	}
	sum.Sum(l.content[:0])
	return err
}

// counted is a content that tells what was read of it, until ctx ends.
type counted struct {
	ctx     context.Context
	content io.Reader
	each    func(n int)
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.content.Read(p)
	if n > 0 {
		c.each(n)
	}
	return n, err
}

func digestOf(lines []*line) string {
	sum := sha256.New()
	for _, l := range lines {
		fmt.Fprintf(sum, "%d %q %o %d %d %d %q %x\n", l.Kind, l.Path, l.Perm, l.UID, l.GID, l.Size, l.Target, l.content)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}
