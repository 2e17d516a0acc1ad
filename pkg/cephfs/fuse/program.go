package fuse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/mounter"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// errOdd is an answer of ceph-fuse that is none of Ceph's. It gives one (its
// exit code 33) about every other time on a directory that was unmounted just
// before: it is asked again.
var errOdd = errors.New("an odd answer")

// tries bounds how often.
const tries = 5

func (f *Mounter) start(ctx context.Context, t cephfs.Target, place string, c volume.Credentials) error {
	for n := 1; ; n++ {
		err := f.run(ctx, arguments(t, place, c.User), c.Key)
		if !errors.Is(err, errOdd) || n == tries {
			return err
		}
		if err := sleep(ctx); err != nil {
			return err
		}
	}
}

// run starts ceph-fuse and returns when it has mounted and left a process, or
// has failed.
func (f *Mounter) run(ctx context.Context, arguments []string, key volume.Secret) error {
	file, err := mounter.InMemory("key", key.Reveal())
	if err != nil {
		return err
	}
	defer file.Close()
	said, err := mounter.InMemory("said", "")
	if err != nil {
		return err
	}
	defer said.Close()
	p, err := f.Starter.Start(ctx, mounter.Order{Program: mounter.CephFUSE, Arguments: arguments, Output: said, Files: []*os.File{file}})
	if err != nil {
		return err
	}
	defer p.Close()
	err = p.Wait(ctx)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return errors.Join(err, p.Kill())
	}
	return explain(said, err)
}

// reason is the number in what ceph-fuse says last: «… failed with (13) …».
func reason() *regexp.Regexp { return regexp.MustCompile(`failed with \((\d+)\)`) }

// explain gives what ceph-fuse has said a meaning; cause wraps
// volume.ErrUnavailable, which is the meaning of all else.
func explain(said *os.File, cause error) error {
	text, err := io.ReadAll(io.NewSectionReader(said, 0, 64<<10))
	if err != nil {
		return errors.Join(cause, err)
	}
	found := reason().FindSubmatch(text)
	if found == nil {
		return fmt.Errorf("%w: it said %.300q: %w", errOdd, lastLine(text), cause)
	}
	number, _ := strconv.Atoi(string(found[1]))
	errno := unix.Errno(number)
	switch errno {
	case unix.EPERM, unix.EACCES:
		return fmt.Errorf("%w: %w", errno, volume.ErrDenied)
	case unix.ENOENT:
		return fmt.Errorf("%w: %w", errno, volume.ErrNotFound)
	}
	return fmt.Errorf("%w: %w", errno, cause)
}

func lastLine(text []byte) []byte {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return lines[len(lines)-1]
}
