package image

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// scratchPattern names scratch directories; * is a random number.
const scratchPattern = "sdp-import-*"

// Scratch is a private directory for what one import cannot stream. It is
// made when first needed. Its lock tells the next import whether it was left
// by a process that is gone.
type Scratch struct {
	parent string
	dir    string
	lock   *os.File
}

// NewScratch returns scratch space in parent, or where parent is empty in the
// system's directory for temporary files.
func NewScratch(parent string) *Scratch {
	if parent == "" {
		parent = os.TempDir()
	}
	return &Scratch{parent: parent}
}

// Close removes the directory.
func (s *Scratch) Close() error {
	if s.lock == nil {
		return nil
	}
	err := os.RemoveAll(s.dir)
	s.lock.Close()
	s.lock = nil
	return local("remove the scratch directory", err)
}

// Need refuses when the scratch space has less than size bytes free.
func (s *Scratch) Need(size int64) error {
	free, err := s.free()
	if err != nil {
		return err
	}
	if free < size {
		return fmt.Errorf("%s has %d bytes free, %d are needed: name another directory with --scratch: %w", s.parent, free, size, volume.ErrNoSpace)
	}
	return nil
}

func (s *Scratch) free() (int64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(s.parent, &stat); err != nil {
		return 0, local("look at the scratch directory "+s.parent, err)
	}
	return int64(stat.Bavail) * stat.Bsize, nil
}

// create makes a file in the scratch directory.
func (s *Scratch) create(name string) (*os.File, error) {
	path, err := s.path(name)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	return f, local("create a scratch file", err)
}

// path returns where a file of that name lies in the scratch directory.
func (s *Scratch) path(name string) (string, error) {
	var err error
	for tries := 0; s.lock == nil && tries < 5; tries++ {
		s.sweep()
		err = s.make()
	}
	if s.lock == nil {
		return "", local("make a scratch directory", err)
	}
	return filepath.Join(s.dir, name), nil
}

// make makes and locks the directory. Another import's sweep can come between
// the two; then the caller tries again.
func (s *Scratch) make() error {
	dir, err := os.MkdirTemp(s.parent, scratchPattern)
	if err != nil {
		return err
	}
	lock, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		err = isThere(dir, lock)
	}
	if err != nil {
		lock.Close()
		return err
	}
	s.dir, s.lock = dir, lock
	return nil
}

// isThere says whether dir is still the directory that was locked.
func isThere(dir string, lock *os.File) error {
	locked, err := lock.Stat()
	if err != nil {
		return err
	}
	now, err := os.Lstat(dir)
	if err == nil && !os.SameFile(now, locked) {
		err = os.ErrNotExist
	}
	return err
}

// sweep removes scratch directories whose process is gone: their locks are
// free. What belongs to other users cannot be opened and is left alone.
func (s *Scratch) sweep() {
	old, err := filepath.Glob(filepath.Join(s.parent, scratchPattern))
	if err != nil {
		return
	}
	for _, dir := range old {
		lock, err := os.OpenFile(dir, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_DIRECTORY, 0)
		if err != nil {
			continue
		}
		if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.RemoveAll(dir)
		}
		lock.Close()
	}
}
