package rbd

import (
	"context"

	"github.com/sdp-csi/sdp-csi/pkg/sharing"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Host is the node's kernel as staging needs it. pkg/mount implements it,
// tests/fake in memory. Safe for concurrent use; calls for one path are
// serialised by the caller.
type Host interface {
	Mounts
	sharing.Host
}

// Mounts are the devices' mounts.
type Mounts interface {
	// Mounted returns the source device of what is mounted on path and
	// whether it is mounted read-only; volume.ErrNotFound when nothing is.
	Mounted(ctx context.Context, path string) (Mount, error)
	// Mount mounts device's file system on path, a directory that it makes.
	// Mounted there already from that device, with that file system and as
	// writable, is success; anything else there wraps volume.ErrConflict.
	// The options are the ones of the file system that keep a read-only mount
	// from writing to its device (a journal replay, a log recovery).
	// options are the class's mount options; one that is not known to be
	// harmless wraps volume.ErrInvalid.
	Mount(ctx context.Context, device, path, fsType string, readOnly bool, options []string) error
	// Format makes an empty file system on a device that has none. One of the
	// same type is left alone; another wraps volume.ErrConflict.
	Format(ctx context.Context, device, fsType string) error
	// BindDevice makes the device visible at path, a file that it makes.
	// Visible there already is success, as for Mount.
	BindDevice(ctx context.Context, device, path string, readOnly bool) error
	// Unmount unmounts path, as often as it is mounted, and removes it if it
	// is a file (one that BindDevice made). A directory, which the CO made,
	// stays. Absent or not mounted is success.
	Unmount(ctx context.Context, path string) error
	// Users returns how many mounts of the device the node has, binds of its
	// node file included.
	Users(ctx context.Context, device string) (int, error)
	// Grow makes the file system on device, which is mounted on path, as
	// large as the device. One that is large enough is left alone.
	Grow(ctx context.Context, device, path string) error
	// IsClean says whether the file system on a read-only device needs no
	// replay of its journal. path is a directory to look at it in, which is
	// made and removed. A writable device wraps volume.ErrInUse.
	IsClean(ctx context.Context, device, path, fsType string) (bool, error)
	// Unpublish is Unmount, and removes the directory as well.
	Unpublish(ctx context.Context, path string) error
}

// Mount is one row of the mount table.
type Mount = volume.Mount
