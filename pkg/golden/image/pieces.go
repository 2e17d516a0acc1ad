package image

import (
	"errors"
	"fmt"
	"io"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// piece is a part of an image: bytes in memory or a file's content.
type piece struct {
	offset int64
	size   int64
	data   []byte
	open   func() (io.ReadCloser, error)
}

// pieceReader reads an image that its pieces describe.
type pieceReader struct {
	pieces []piece // those not read as yet
	size   int64
	at     int64
	file   io.ReadCloser // the first piece's content, once open
}

// Read implements io.Reader.
func (r *pieceReader) Read(p []byte) (int, error) {
	if r.at == r.size {
		return 0, io.EOF
	}
	if len(r.pieces) == 0 || r.at < r.pieces[0].offset {
		return r.zeros(p), nil
	}
	first := r.pieces[0]
	p = p[:min(int64(len(p)), first.offset+first.size-r.at)]
	if first.open == nil {
		n := copy(p, first.data[r.at-first.offset:])
		return n, r.advance(n)
	}
	n, err := r.content(p)
	if err == nil {
		err = r.advance(n)
	}
	if err != nil {
		// With bytes that fill the reader's buffer, io.ReadFull drops an error.
		return 0, err
	}
	return n, nil
}

// zeros fills what is between two pieces or after the last.
func (r *pieceReader) zeros(p []byte) int {
	end := r.size
	if len(r.pieces) > 0 {
		end = r.pieces[0].offset
	}
	p = p[:min(int64(len(p)), end-r.at)]
	clear(p)
	r.at += int64(len(p))
	return len(p)
}

// content reads from the first piece's file.
func (r *pieceReader) content(p []byte) (int, error) {
	if r.file == nil {
		f, err := r.pieces[0].open()
		if err != nil {
			return 0, err
		}
		r.file = f
	}
	n, err := r.file.Read(p)
	if n > 0 {
		return n, nil
	}
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("a file became shorter while it was imported: import again when nobody writes it: %w", volume.ErrConflict)
	}
	return 0, local("read a file to import", err)
}

// advance goes on by n bytes and, at a piece's end, to the next piece.
func (r *pieceReader) advance(n int) error {
	r.at += int64(n)
	if first := r.pieces[0]; r.at < first.offset+first.size {
		return nil
	}
	r.pieces = r.pieces[1:]
	return r.finish()
}

// finish reads on to the end of a file's content, which is where the file
// says whether it changed meanwhile.
func (r *pieceReader) finish() error {
	if r.file == nil {
		return nil
	}
	f := r.file
	r.file = nil
	defer f.Close()
	var more [1]byte
	n, err := f.Read(more[:])
	if n > 0 {
		return fmt.Errorf("a file became longer while it was imported: import again when nobody writes it: %w", volume.ErrConflict)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Close closes the file that is being read.
func (r *pieceReader) Close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}
