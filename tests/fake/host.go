package fake

import (
	"fmt"
	"slices"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
)

// Host is a node's kernel: its mapped devices and its mount table. What it
// holds outlives the driver. It shares its Ceph's Faults.
type Host struct {
	ceph    *Ceph
	devices map[string]*device // by path; also half-made ones, by their names
	mounts  []mount            // in the order they were made
	files   map[string]bool    // that were made for mounts, and have to go
	serial  int
	// exclusive is what the mapper answers.
	exclusive bool
	limit     int64
}

// device is a block device.
type device struct {
	rbd.Mapped
	image    *image
	snapshot *snapshot // nil: the image's head
	size     int64     // that the kernel knows
}

// mount is one row of the mount table.
type mount struct {
	path string
	rbd.Mount
	lower  string // of an overlay
	inside string // what of it is shown
	keeps  string // the device of the lower's mount, which the overlay keeps open
}

// opens says whether the row keeps a device from being removed.
func (m mount) opens(dev string) bool { return m.Device == dev || m.keeps == dev }

// NewHost returns a host with nothing on it, whose mapper keeps other writers
// out.
func NewHost(c *Ceph) *Host {
	return &Host{ceph: c, devices: map[string]*device{}, files: map[string]bool{}, exclusive: true, limit: 1 << 16}
}

// SetMapper changes what kind of mapper the host has: whether it keeps other
// writers out, and how many devices it can have.
func (h *Host) SetMapper(exclusive bool, limit int64) {
	h.ceph.mu.Lock()
	defer h.ceph.mu.Unlock()
	h.exclusive, h.limit = exclusive, limit
}

// Contents lists all that the host holds, one line each and sorted: devices,
// mounts, and files that were made to mount on. Empty where nothing is left.
func (h *Host) Contents() []string {
	h.ceph.mu.Lock()
	defer h.ceph.mu.Unlock()
	var all []string
	for _, d := range h.devices {
		all = append(all, fmt.Sprintf("device %s/%s/%s %s%s", d.Pool, d.Namespace, d.Image, access(d.ReadOnly), half(d)))
	}
	for _, m := range h.mounts {
		all = append(all, fmt.Sprintf("mount %s %q %s", m.path, m.FsType, access(m.ReadOnly)))
	}
	for f := range h.files {
		all = append(all, "file "+f)
	}
	slices.Sort(all)
	return all
}

func access(readOnly bool) string {
	if readOnly {
		return "ro"
	}
	return "rw"
}

func half(d *device) string {
	if d.Device.Path == "" {
		return " (half made)"
	}
	return ""
}

// mounted returns the topmost mount on path.
func (h *Host) mounted(path string) (mount, bool) {
	for _, m := range slices.Backward(h.mounts) {
		if m.path == path {
			return m, true
		}
	}
	return mount{}, false
}
