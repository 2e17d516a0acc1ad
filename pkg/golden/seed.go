package golden

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// chunk is the size of one read or write: an RBD image's object, so that no
// two writes meet in one.
const chunk = 4 << 20

// seed makes the image, writes the content and reads it back.
func (i *importing) seed(ctx context.Context, rec record) (record, error) {
	if err := i.store.CreateImage(ctx, i.at, i.ref.Image(), rec.Size); err != nil {
		return record{}, err
	}
	target, err := i.store.OpenImage(ctx, i.at, i.ref.Image())
	if err != nil {
		return record{}, err
	}
	rec.Digest, err = i.fill(ctx, target)
	if closed := target.Close(); err == nil && closed != nil {
		err = fmt.Errorf("close the image: %w", closed)
	}
	return rec, err
}

// fill writes the content, reads it back and returns its digest.
func (i *importing) fill(ctx context.Context, target Image) (string, error) {
	written, err := i.copy(ctx, target)
	if err != nil {
		return "", err
	}
	if err := target.Flush(); err != nil {
		return "", fmt.Errorf("flush the image: %w", err)
	}
	read, err := i.readBack(ctx, target)
	if err != nil {
		return "", err
	}
	if read != written {
		return "", fmt.Errorf("Ceph gave back other bytes than were written (%s instead of %s): look at the health of the cluster and import again: %w",
			read, written, volume.ErrUnavailable)
	}
	return written, nil
}

// nowhere takes what is only read for its digest.
type nowhere struct{}

func (nowhere) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

// copy reads the image once, takes its digest and writes it in parallel,
// without the chunks that are all zero: a new image reads as zeros.
func (i *importing) copy(ctx context.Context, target io.WriterAt) (digest string, err error) {
	source, err := i.image.Reader()
	if err != nil {
		return "", err
	}
	defer source.Close()
	w := newWriting(ctx, target, i.inFlight)
	sum := sha256.New()
	for at := int64(0); at < i.image.Size && err == nil; at += chunk {
		err = w.next(source, sum, at, min(chunk, i.image.Size-at))
		i.progress(StepWrite, at, i.image.Size)
	}
	if werr := w.group.Wait(); werr != nil {
		err = werr // the reason why a next one was not begun
	}
	if err != nil {
		return "", err
	}
	i.progress(StepWrite, i.image.Size, i.image.Size)
	return text(sum.Sum(nil)), nil
}

func text(sum []byte) string { return "sha256:" + hex.EncodeToString(sum) }

// writing is what copy has under way.
type writing struct {
	ctx     context.Context
	target  io.WriterAt
	group   *errgroup.Group
	buffers chan []byte
}

func newWriting(ctx context.Context, target io.WriterAt, inFlight int) *writing {
	w := &writing{target: target, buffers: make(chan []byte, inFlight)}
	w.group, w.ctx = errgroup.WithContext(ctx)
	for range inFlight {
		w.buffers <- nil // made when first used: small goldens need one
	}
	return w
}

// next reads a chunk as soon as a buffer is free and begins to write it.
func (w *writing) next(source io.Reader, sum io.Writer, at, size int64) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	buffer := <-w.buffers
	if buffer == nil {
		buffer = make([]byte, size)
	}
	data := buffer[:size]
	if _, err := io.ReadFull(source, data); err != nil {
		return fmt.Errorf("read the image at byte %d: %w", at, err)
	}
	sum.Write(data)
	w.group.Go(func() error {
		defer func() { w.buffers <- buffer }()
		return w.write(data, at)
	})
	return nil
}

func (w *writing) write(data []byte, at int64) error {
	if isZero(data) {
		return nil
	}
	if _, err := w.target.WriteAt(data, at); err != nil {
		return fmt.Errorf("write the image at byte %d: %w", at, err)
	}
	return nil
}

func isZero(data []byte) bool {
	return len(data) == 0 || data[0] == 0 && bytes.Equal(data[1:], data[:len(data)-1])
}

// readBack reads the image from Ceph in parallel and returns its digest.
func (i *importing) readBack(ctx context.Context, from io.ReaderAt) (string, error) {
	size, sum := i.image.Size, sha256.New()
	slots := make([]slot, min(int64(i.inFlight), (size+chunk-1)/chunk))
	next := int64(0)
	begin := func(s *slot) {
		if next < size {
			s.read(from, next, min(chunk, size-next))
			next += chunk
		}
	}
	for n := range slots {
		begin(&slots[n])
	}
	var err error
	for at := int64(0); at < size && err == nil; at += chunk {
		s := &slots[at/chunk%int64(len(slots))]
		if err = errors.Join(s.wait(), ctx.Err()); err == nil {
			sum.Write(s.data)
			i.progress(StepVerify, at+int64(len(s.data)), size)
			begin(s)
		}
	}
	for n := range slots {
		slots[n].wait()
	}
	return text(sum.Sum(nil)), err
}

// slot is one read under way.
type slot struct {
	buffer []byte
	data   []byte // of buffer, what is being read
	done   chan error
}

func (s *slot) read(from io.ReaderAt, at, size int64) {
	if s.buffer == nil {
		s.buffer = make([]byte, size)
	}
	s.data, s.done = s.buffer[:size], make(chan error, 1)
	go func(data []byte, done chan<- error) {
		defer close(done)
		n, err := from.ReadAt(data, at)
		if err != nil && (err != io.EOF || n < len(data)) {
			done <- fmt.Errorf("read the image back at byte %d: %w", at, err)
		}
	}(s.data, s.done)
}

// wait returns the read's answer when it is there; once it has been given,
// and before any read, nil.
func (s *slot) wait() error {
	if s.done == nil {
		return nil
	}
	return <-s.done
}
