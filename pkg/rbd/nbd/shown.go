package nbd

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/mounter"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/fuse/wire"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// served is a device with the process behind it.
type served struct {
	rbd.Mapped
	pid int
}

// find returns m's device by what the kernel shows.
func (n *Mapper) find(m rbd.Mapping) (served, error) {
	all, err := n.all()
	if err != nil {
		return served{}, err
	}
	for _, s := range all {
		if sameNames(s.Mapping, m) && m.Identity.Agrees(s.Identity) {
			return s, nil
		}
	}
	return served{}, fmt.Errorf("%s/%s/%s@%s is not mapped: %w", m.Pool, m.Namespace, m.Image, m.Snapshot, volume.ErrNotFound)
}

func sameNames(a, b rbd.Mapping) bool {
	return a.Pool == b.Pool && a.Namespace == b.Namespace && a.Image == b.Image && a.Snapshot == b.Snapshot
}

// all returns the devices that processes of ours serve.
func (n *Mapper) all() ([]served, error) {
	files, err := filepath.Glob(filepath.Join(n.options.Sys, "block/nbd*/pid"))
	if err != nil {
		return nil, fmt.Errorf("read the nbd devices: %w: %w", err, volume.ErrUnavailable)
	}
	var all []served
	for _, file := range files {
		s, ours, err := n.look(file)
		if err != nil {
			return nil, err
		}
		if ours {
			all = append(all, s)
		}
	}
	return all, nil
}

// look finds out what a device shows; false for one that is not ours, or goes
// away meanwhile.
func (n *Mapper) look(pidFile string) (s served, ours bool, err error) {
	text, err := os.ReadFile(pidFile)
	if errors.Is(err, fs.ErrNotExist) {
		return s, false, nil
	}
	if err != nil {
		return s, false, fmt.Errorf("read %s: %w: %w", pidFile, err, volume.ErrUnavailable)
	}
	if s.pid, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil || s.pid <= 0 {
		return s, false, nil
	}
	environ, err := os.ReadFile(filepath.Join(n.options.Proc, strconv.Itoa(s.pid), "environ"))
	if err != nil {
		return s, false, nil // it has ended
	}
	s.Mapping, ours = mappingOf(environ)
	s.Device = rbd.Device{Path: filepath.Join(n.options.Dev, filepath.Base(filepath.Dir(pidFile)))}
	return s, ours, nil
}

// mappingOf reads the label that a process's environment shows: it names the
// mapping as a mount of the fuse mapper would.
func mappingOf(environ []byte) (rbd.Mapping, bool) {
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if source, ok := strings.CutPrefix(string(entry), mounter.Variable+"="); ok {
			return wire.ParseSource(source)
		}
	}
	return rbd.Mapping{}, false
}
