package golden

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// chunk is the size of one write: an RBD image's object, so that no two
// writes meet in one.
const chunk = 4 << 20

// seed makes the image and gives it its content.
func (i *importing) seed(ctx context.Context, rec goldenRecord) (goldenRecord, error) {
	if err := i.store.CreateImage(ctx, i.at, i.ref.Image(), rec.Size); err != nil {
		return goldenRecord{}, err
	}
	target, err := i.store.OpenImage(ctx, i.at, i.ref.Image())
	if err != nil {
		return goldenRecord{}, err
	}
	rec.Digest, err = i.fill(ctx, target)
	if err == nil {
		err = during("flush the image", target.Flush())
	}
	if closed := during("close the image", target.Close()); err == nil {
		err = closed
	}
	return rec, err
}

func during(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// fill is a pipeline: the content is read and its digest taken chunk by
// chunk, while earlier chunks are written, read back and compared. So the
// digest is of what was written and of what Ceph gives back: no byte of either
// went uncompared, and nothing is read twice for it.
func (i *importing) fill(ctx context.Context, target Image) (digest string, err error) {
	f := newFilling(ctx, target, i.inFlight)
	digest, err = i.digest(f.ctx, func(data []byte, at int64) []byte {
		i.progress(StepWrite, f.stored.Load(), i.image.Size)
		return f.begin(data, at)
	})
	if failed := f.group.Wait(); failed != nil {
		err = failed // the reason why the digest was given up
	}
	if err == nil {
		i.progress(StepWrite, i.image.Size, i.image.Size)
	}
	return digest, err
}

// digest reads the image once, from its beginning to its end. each gets every
// chunk, keeps it, and gives a buffer for a later one.
func (i *importing) digest(ctx context.Context, each func(data []byte, at int64) []byte) (string, error) {
	source, err := i.image.Reader()
	if err != nil {
		return "", err
	}
	defer source.Close()
	sum, buffer := sha256.New(), make([]byte, min(chunk, i.image.Size))
	for at := int64(0); at < i.image.Size; at += chunk {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		data := buffer[:min(chunk, i.image.Size-at)]
		if _, err := io.ReadFull(source, data); err != nil {
			return "", fmt.Errorf("read the image at byte %d: %w", at, err)
		}
		sum.Write(data)
		buffer = each(data, at)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), nil
}

// filling is an image that is being filled.
type filling struct {
	ctx     context.Context // ends when a chunk fails
	target  Image
	group   *errgroup.Group
	buffers chan buffers // as many as there are chunks under way
	stored  atomic.Int64 // bytes that are written and compared
}

// buffers are a chunk's: what is to be written, and what was read back. They
// are made when first used, small goldens need few.
type buffers struct{ written, read []byte }

func newFilling(ctx context.Context, target Image, inFlight int) *filling {
	f := &filling{target: target, buffers: make(chan buffers, inFlight)}
	f.group, f.ctx = errgroup.WithContext(ctx)
	for range inFlight {
		f.buffers <- buffers{}
	}
	return f
}

// begin begins to store a chunk as soon as less than the bound are under way,
// and returns the buffer of one that has come to its end.
func (f *filling) begin(data []byte, at int64) []byte {
	free := <-f.buffers
	next := free.written
	if next == nil {
		next = make([]byte, cap(data))
	}
	if free.read == nil {
		free.read = make([]byte, cap(data))
	}
	f.group.Go(func() error {
		defer func() { f.buffers <- buffers{written: data[:cap(data)], read: free.read} }()
		return f.store(data, free.read[:len(data)], at)
	})
	return next
}

// store writes a chunk, reads it back and compares. One that is all zero is
// not written: a new image reads as zeros.
func (f *filling) store(data, read []byte, at int64) error {
	if !isZero(data) {
		if _, err := f.target.WriteAt(data, at); err != nil {
			return fmt.Errorf("write the image at byte %d: %w", at, err)
		}
	}
	n, err := f.target.ReadAt(read, at)
	if err != nil && (!errors.Is(err, io.EOF) || n < len(read)) {
		return fmt.Errorf("read the image back at byte %d: %w", at, err)
	}
	if !bytes.Equal(data, read) {
		return fmt.Errorf("what Ceph gave back at byte %d is not what was written: look at the health of the cluster and import again: %w", at, volume.ErrUnavailable)
	}
	f.stored.Add(int64(len(data)))
	return nil
}

func isZero(data []byte) bool {
	return len(data) == 0 || data[0] == 0 && bytes.Equal(data[1:], data[:len(data)-1])
}
