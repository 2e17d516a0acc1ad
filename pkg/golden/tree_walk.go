package golden

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/sdp-csi/sdp-csi/pkg/golden/image"
)

// line is one entry's part in the digest.
type line struct {
	image.Entry
	content [sha256.Size]byte // the digest of a file
}

// walked has entries: what is to be imported, or what was.
type walked interface {
	Entries(visit func(image.Entry) error) error
}

// walk reads all entries, files in parallel, writes them into a directory (nil:
// nowhere) and returns the digest of the whole.
func (f *filesImport) walk(ctx context.Context, step Step, from walked, to Directory) (string, error) {
	f.done = 0
	var lines []*line
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(f.inFlight)
	err := from.Entries(func(e image.Entry) error {
		l := &line{Entry: e}
		lines = append(lines, l)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case e.Kind == image.File:
			group.Go(func() error { return f.file(ctx, step, l, to) })
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
func (f *filesImport) file(ctx context.Context, step Step, l *line, to Directory) error {
	content, err := l.Open()
	if err != nil {
		return err
	}
	defer content.Close()
	sum := sha256.New()
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

// digestOf is the digest of a walk. File systems have no permissions of their
// own for symbolic links.
func digestOf(lines []*line) string {
	sum := sha256.New()
	for _, l := range lines {
		perm := l.Perm
		if l.Kind == image.Symlink {
			perm = 0
		}
		fmt.Fprintf(sum, "%d %q %o %d %d %d %q %x\n", l.Kind, l.Path, perm, l.UID, l.GID, l.Size, l.Target, l.content)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}
