package mount

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sync/singleflight"
	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Host is this node's kernel. It remembers nothing of what it mounted: that
// is in the kernel's table. It is safe for concurrent use, also of one path.
type Host struct {
	turns  turns
	probes singleflight.Group // by device: see Usage
}

// NewHost returns the node's kernel.
func NewHost() *Host { return &Host{} }

// Mounted returns what is mounted on path, topmost; volume.ErrNotFound when
// nothing is.
func (h *Host) Mounted(_ context.Context, path string) (volume.Mount, error) {
	e, err := openEntry(path)
	if err != nil {
		return volume.Mount{}, err
	}
	defer e.close()
	s, r, err := e.mounted()
	if err != nil {
		return volume.Mount{}, err
	}
	return describe(s, r), nil
}

// mounted returns the topmost mount on the entry; ErrNotFound without one.
func (e entry) mounted() (shape, row, error) {
	s, err := e.look()
	if err != nil {
		return s, row{}, err
	}
	if !s.isMount {
		return s, row{}, fmt.Errorf("nothing is mounted on %s: %w", e.path, volume.ErrNotFound)
	}
	rows, err := readTable()
	if err != nil {
		return s, row{}, err
	}
	for _, r := range rows {
		if uint64(r.id) == s.mountID {
			return s, r, nil
		}
	}
	return s, row{}, fmt.Errorf("the mount on %s went away: %w", e.path, volume.ErrPending)
}

// isMounted is mounted for callers to whom nothing is no error.
func (e entry) isMounted() (s shape, r row, found bool, err error) {
	s, r, err = e.mounted()
	if errors.Is(err, volume.ErrNotFound) {
		return s, r, false, nil
	}
	return s, r, err == nil, err
}

// describe tells a row in the vocabulary's words. A bound device node has no
// file system of its own, and is read-only when its device is.
func describe(s shape, r row) volume.Mount {
	if s.is(unix.S_IFBLK) {
		path := devicePath(s.rdev)
		ro, err := isReadOnly(path)
		return volume.Mount{Device: path, ReadOnly: err == nil && ro}
	}
	m := volume.Mount{Device: r.source, FsType: r.fsType, ReadOnly: r.readOnly()}
	if path := devicePath(r.dev); path != "" {
		m.Device = path
	}
	return m
}

// Users returns how many mounts of the device the node has, binds of its node
// file included. A device without a node has none.
func (h *Host) Users(_ context.Context, device string) (int, error) {
	var st unix.Stat_t
	err := unix.Stat(device, &st)
	if errors.Is(err, unix.ENOENT) {
		return 0, nil
	}
	if err != nil {
		return 0, walkError("look at", device, err)
	}
	rows, err := readTable()
	if err != nil {
		return 0, err
	}
	n := 0
	for _, r := range rows {
		if r.dev == st.Rdev || r.dev == st.Dev && isNode(r.root, device) {
			n++
		}
	}
	return n, nil
}

// isNode says whether root, a file in the file system of device nodes, is the
// device's node. The kernel marks the root of a removed file.
func isNode(root, device string) bool {
	return filepath.Base(strings.TrimSuffix(root, "//deleted")) == filepath.Base(device)
}
