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
		err := f.run(ctx, t, place, c)
		if !errors.Is(err, errOdd) || n == tries {
			return err
		}
		if err := sleep(ctx); err != nil {
			return err
		}
	}
}

// room is for what ceph-fuse says, at its start and as long as it runs.
const room = 64 << 10

// run starts ceph-fuse and returns when it has mounted and goes on, or has
// failed.
func (f *Mounter) run(ctx context.Context, t cephfs.Target, place string, c volume.Credentials) error {
	key, err := mounter.InMemory("key", c.Key.Reveal())
	if err != nil {
		return err
	}
	defer key.Close()
	said, err := mounter.Sheet("said", room)
	if err != nil {
		return err
	}
	defer said.Close()
	p, err := f.Starter.Start(ctx, mounter.Order{Program: mounter.CephFUSE, Arguments: arguments(t, place, c.User), Output: said, Files: []*os.File{key}})
	if err != nil {
		return err
	}
	defer p.Close()
	err = f.arrive(ctx, p, t, place)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errEnded):
		return explain(said, err)
	}
	return errors.Join(err, p.Kill())
}

// errEnded is a ceph-fuse that has ended and was not told to.
var errEnded = errors.New("it has ended")

// arrive waits until t is mounted on place by p and answers; errEnded where p
// has ended before.
func (f *Mounter) arrive(ctx context.Context, p mounter.Process, t cephfs.Target, place string) error {
	changes, err := f.Host.Changes()
	if err != nil {
		return err
	}
	defer changes.Close()
	ended, leave := follow(ctx, p)
	defer leave()
	for {
		// One that does not answer yet wraps volume.ErrUnavailable.
		there, err := t.IsMounted(ctx, f.Host, place)
		if there || err != nil && !errors.Is(err, volume.ErrUnavailable) {
			return err
		}
		select {
		case how := <-ended:
			return how
		default:
		}
		if err := changes.Next(pause); err != nil {
			return err
		}
	}
}

// follow tells how a program ends, or that ctx does, until leave is called.
func follow(ctx context.Context, p mounter.Process) (ended <-chan error, leave func()) {
	own, cancel := context.WithCancel(ctx)
	how, left := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(left)
		err := p.Wait(own)
		switch {
		case err == nil:
			err = fmt.Errorf("%w without an error: %w", errEnded, volume.ErrUnavailable)
		case own.Err() == nil:
			err = fmt.Errorf("%w: %w", errEnded, err)
		}
		how <- err
	}()
	return how, func() {
		cancel()
		<-left
	}
}

// reason is the number in what ceph-fuse says last: «… failed with (13) …».
func reason() *regexp.Regexp { return regexp.MustCompile(`failed with \((\d+)\)`) }

// explain gives what ceph-fuse has said a meaning; cause wraps
// volume.ErrUnavailable, which is the meaning of all else.
func explain(said *os.File, cause error) error {
	text, err := io.ReadAll(io.NewSectionReader(said, 0, room))
	if err != nil {
		return errors.Join(cause, err)
	}
	text = bytes.TrimRight(text, "\x00")
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
