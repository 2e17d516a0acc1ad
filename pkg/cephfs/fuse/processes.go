package fuse

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/mounter"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// processes are the node's.
type processes struct{ proc string }

// process is a ceph-fuse.
type process struct {
	id    int
	reads bool // and writes nothing
}

func (p process) writes() bool { return !p.reads }

// of returns the processes that serve path, or are about to.
func (p processes) of(path string) (all []process, err error) {
	names, err := os.ReadDir(p.proc)
	if err != nil {
		return nil, fmt.Errorf("read the processes: %w: %w", err, volume.ErrUnavailable)
	}
	for _, n := range names {
		id, err := strconv.Atoi(n.Name())
		if err != nil {
			continue
		}
		if reads, serves := p.look(id, filepath.Clean(path)); serves {
			all = append(all, process{id: id, reads: reads})
		}
	}
	return all, nil
}

// look says whether a process serves path. One that goes away meanwhile, or has
// gone and was not reaped, does not.
func (p processes) look(id int, path string) (reads, serves bool) {
	text, err := os.ReadFile(filepath.Join(p.proc, strconv.Itoa(id), "cmdline"))
	words := strings.Split(string(bytes.TrimSuffix(text, []byte{0})), "\x00")
	if err != nil || len(words) < 3 || filepath.Base(words[0]) != mounter.CephFUSE || words[len(words)-1] != path {
		return false, false
	}
	return slices.Contains(strings.Split(words[len(words)-2], ","), readOnly), true
}

// endReaders kills the processes of path that have nothing to write back. One
// that has wraps volume.ErrUnavailable and goes on.
func (p processes) endReaders(path string) error {
	all, err := p.of(path)
	if err != nil {
		return err
	}
	for _, one := range all {
		if !one.reads {
			return fmt.Errorf("process %d still writes what it had to Ceph: %w", one.id, volume.ErrUnavailable)
		}
		if err := p.kill(one.id, filepath.Clean(path)); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("kill process %d: %w: %w", one.id, err, volume.ErrUnavailable)
		}
	}
	return nil
}

// kill ends a process that serves path. Its number could be another's by now.
func (p processes) kill(id int, path string) error {
	fd, err := unix.PidfdOpen(id, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, serves := p.look(id, path); !serves {
		return nil
	}
	return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
}
