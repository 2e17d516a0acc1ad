package image

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The file systems that a golden can have.
const (
	EROFS = "erofs"
	Ext4  = "ext4"
)

// Stdin as a Source's Path means the standard input.
const Stdin = "-"

// Source is what a golden is made of.
type Source struct {
	// Path names a directory, a tar (*.tar, *.tar.gz, *.tgz), any other file,
	// or Stdin for a tar that Input gives.
	Path  string
	Input io.Reader
	// Preserve keeps owners and permissions. Without it everything is
	// root's and everybody may read it. Times and set-id bits are never kept.
	Preserve bool
}

// Open makes the source's tree. Only a tar that cannot be read in place needs
// scratch space. progress hears how many bytes went there.
func Open(ctx context.Context, s Source, scratch *Scratch, progress func(done int64)) (*Tree, error) {
	if s.Path == Stdin {
		return openTarStream(ctx, s.Input, s.Preserve, scratch, progress)
	}
	info, err := os.Stat(s.Path)
	switch {
	case err != nil:
		return nil, local("open what is to be imported", err)
	case info.IsDir():
		return scanDirectory(ctx, s.Path, s.Preserve)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is neither a file nor a directory: %w", s.Path, volume.ErrInvalid)
	case isTarName(s.Path):
		return openTarFile(ctx, s.Path, s.Preserve, scratch, progress)
	}
	return scanFile(ctx, s.Path, s.Preserve)
}

func isTarName(path string) bool {
	for _, suffix := range []string{".tar", ".tar.gz", ".tgz"} {
		if strings.HasSuffix(path, suffix) {
			return true
		}
	}
	return false
}

// Image is a file system image that can be read from its first byte to its
// last, several times.
type Image struct {
	FsType string
	Size   int64 // bytes, a multiple of 4 KiB
	open   func() (io.ReadCloser, error)
}

// Reader begins to read the image. It gives exactly Size bytes or an error.
func (i *Image) Reader() (io.ReadCloser, error) { return i.open() }

// New makes an image with the file system fsType of a tree, which must stay
// open while the image is read.
func New(ctx context.Context, fsType string, t *Tree, scratch *Scratch) (*Image, error) {
	switch fsType {
	case EROFS:
		return newEROFS(t)
	case Ext4:
		return newExt4(ctx, t, scratch)
	}
	return nil, fmt.Errorf("format %.32q is not erofs or ext4: %w", fsType, volume.ErrInvalid)
}
