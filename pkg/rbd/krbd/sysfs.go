package krbd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/keyring"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The kernel's interface (Documentation/ABI/testing/sysfs-bus-rbd), below /sys.
const (
	addFile    = "bus/rbd/add_single_major"
	removeFile = "bus/rbd/remove_single_major"
	devicesDir = "bus/rbd/devices"
	noSnapshot = "-"
)

// options are the fixed part of every mapping. prefer-crc speaks messenger v2
// without encryption, mount_timeout bounds the way to the monitors and
// lock_timeout the wait for the lock of a writer that died (seconds, both).
const options = "ms_mode=prefer-crc,mount_timeout=15,lock_timeout=60"

// addLine is what is written to the kernel to map m: monitors, options, pool,
// image, snapshot. The key is not in it: key= names it in the keyring.
func addLine(m rbd.Mapping, user string) (string, error) {
	snapshot := m.Snapshot
	if snapshot == "" {
		snapshot = noSnapshot
	}
	for _, word := range append([]string{m.Pool, m.Namespace, m.Image, snapshot, user}, m.Monitors...) {
		if word == "" || strings.ContainsAny(word, ", \f\n\r\t\v\x00") {
			return "", fmt.Errorf("%.128q cannot be told to krbd: %w", word, volume.ErrInvalid)
		}
	}
	access := "exclusive"
	if m.ReadOnly || m.Snapshot != "" {
		access = "ro"
	}
	return fmt.Sprintf("%s name=%s,key=%s,_pool_ns=%s,%s,%s %s %s %s", strings.Join(m.Monitors, ","),
		user, keyring.Description, m.Namespace, access, options, m.Pool, m.Image, snapshot), nil
}

// find returns the number of m's device by what the kernel shows.
func (k *Mapper) find(m rbd.Mapping) (int, error) {
	numbers, err := k.named(m)
	if err != nil {
		return 0, err
	}
	for _, n := range numbers {
		if m.Agrees(k.mapping(n).Identity) {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%s/%s/%s@%s is not mapped: %w", m.Pool, m.Namespace, m.Image, m.Snapshot, volume.ErrNotFound)
}

// named returns the devices with m's names, whatever image they show.
func (k *Mapper) named(m rbd.Mapping) ([]int, error) {
	numbers, err := k.numbers()
	return slices.DeleteFunc(numbers, func(n int) bool { return !sameNames(k.mapping(n), m) }), err
}

func sameNames(a, b rbd.Mapping) bool {
	return a.Pool == b.Pool && a.Namespace == b.Namespace && a.Image == b.Image && a.Snapshot == b.Snapshot
}

// numbers returns the kernel's rbd devices.
func (k *Mapper) numbers() ([]int, error) {
	entries, err := os.ReadDir(filepath.Join(k.sys, devicesDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the rbd devices: %w", err)
	}
	var all []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			all = append(all, n)
		}
	}
	return all, nil
}

// mapping tells what device n shows; names are empty when it goes away.
func (k *Mapper) mapping(n int) rbd.Mapping {
	m := rbd.Mapping{
		Pool: k.attribute(n, "pool"), Namespace: k.attribute(n, "pool_ns"),
		Image: k.attribute(n, "name"), Snapshot: k.attribute(n, "current_snap"),
	}
	if m.Snapshot == noSnapshot {
		m.Snapshot = ""
	}
	m.FSID, m.ImageID = k.attribute(n, "cluster_fsid"), k.attribute(n, "image_id")
	m.PoolID, _ = strconv.ParseInt(k.attribute(n, "pool_id"), 10, 64)
	if m.Snapshot != "" {
		m.SnapshotID, _ = strconv.ParseUint(k.attribute(n, "snap_id"), 10, 64)
	}
	ro, _ := os.ReadFile(filepath.Join(k.sys, "block", "rbd"+strconv.Itoa(n), "ro"))
	m.ReadOnly = strings.TrimSpace(string(ro)) == "1"
	return m
}

// attribute is empty for a device that goes away meanwhile.
func (k *Mapper) attribute(n int, name string) string {
	data, _ := os.ReadFile(filepath.Join(k.sys, devicesDir, strconv.Itoa(n), name))
	return strings.TrimSpace(string(data))
}

// write writes to a sysfs file in one call; the kernel acts before it returns.
func (k *Mapper) write(file, text string) error {
	fd, err := unix.Open(filepath.Join(k.sys, file), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(text))
	return err
}

// mapError gives the kernel's answer a meaning.
func mapError(err error) error {
	switch {
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("the pool, the image or its snapshot does not exist: %w", volume.ErrNotFound)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES), errors.Is(err, unix.EKEYREJECTED):
		return fmt.Errorf("the key may not open the image: %w", volume.ErrDenied)
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EROFS):
		return fmt.Errorf("another node has the image open for writing: %w", volume.ErrInUse)
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.ENOMEM):
		return fmt.Errorf("the node has no device left: %w", volume.ErrNoSpace)
	case errors.Is(err, unix.ENXIO), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("this kernel does not know a feature of the image: %w: %w", err, volume.ErrUnsupported)
	}
	return fmt.Errorf("the kernel's Ceph client: %w: %w", err, volume.ErrUnavailable)
}
