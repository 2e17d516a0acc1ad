package kernel

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/keyring"
	"github.com/sdp-csi/sdp-csi/pkg/mount"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// fsType is the client's file system, and its module.
const fsType = "ceph"

// monitorsOption names the monitors beside a source that names the cluster.
// Kernels before Linux 5.17 do not have it.
const monitorsOption = "mon_addr"

// Mounter is cephfs.Mounter on the kernel's client.
type Mounter struct{ host *mount.Host }

// New returns a Mounter.
func New(host *mount.Host) *Mounter { return &Mounter{host: host} }

// Available says whether the kernel has the client, and loads the module where
// that is possible.
func (k *Mounter) Available(ctx context.Context) error {
	if k.knows() == nil {
		return nil
	}
	out, err := exec.CommandContext(ctx, "modprobe", fsType).CombinedOutput()
	if missing := k.knows(); missing != nil {
		return fmt.Errorf("modprobe %s: %w: %.200s: %w", fsType, err, out, missing)
	}
	return nil
}

func (k *Mounter) knows() error { return k.host.Knows(fsType, monitorsOption, "127.0.0.1:3300") }

// Mount implements cephfs.Mounter. The call into the kernel cannot be
// interrupted: mount_timeout bounds it.
func (k *Mounter) Mount(ctx context.Context, t cephfs.Target, path string, options []string, c volume.Credentials) error {
	if err := t.MustBeTellable(c.User); err != nil {
		return err
	}
	if there, err := t.IsMounted(ctx, k.host, path); err != nil || there {
		return err
	}
	f := fileSystem(t, c.User)
	err := keyring.With(c.Key, func() error { return k.host.MountFileSystem(ctx, f, path, options) })
	if err != nil {
		return fmt.Errorf("mount %s as %s: %w", t.Root, c.User, meaning(err))
	}
	return nil
}

// fileSystem is what the kernel is told. A volume has a superblock of its own
// (noshare): a kubelet does not unstage a device that is mounted elsewhere too.
// prefer-crc speaks messenger v2 without encryption; mount_timeout bounds the
// way to the monitors (seconds). The key is not in it: key= names it in the
// keyring. A reader that was shut out comes back by itself; a writer does not,
// for it would go on without what it had written.
func fileSystem(t cephfs.Target, user string) mount.FileSystem {
	session := "no"
	if t.ReadOnly {
		session = "clean"
	}
	return mount.FileSystem{
		Type: fsType, Source: t.TableSource(user), ReadOnly: t.ReadOnly,
		Parameters: [][2]string{
			{monitorsOption, strings.Join(t.Monitors, "/")}, {"key", keyring.Description}, {"ms_mode", "prefer-crc"},
			{"mount_timeout", "15"}, {"recover_session", session}, {"noshare", ""},
		},
	}
}

// meaning gives the kernel's answer a meaning. One that has one stays. Monitors
// that refuse a key are for the kernel the same as no MDS: EHOSTUNREACH.
func meaning(err error) error {
	means := volume.ErrUnavailable
	switch {
	case errors.Is(err, volume.ErrInvalid), errors.Is(err, volume.ErrConflict), errors.Is(err, volume.ErrUnavailable), errors.Is(err, volume.ErrPending):
		return err
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		means = volume.ErrDenied
	case errors.Is(err, unix.ENOENT):
		means = volume.ErrNotFound
	case errors.Is(err, unix.EHOSTUNREACH):
		return fmt.Errorf("no MDS serves it, or the key is refused: %w: %w", err, means)
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENOSYS):
		means = volume.ErrUnsupported
	}
	return fmt.Errorf("%w: %w", err, means)
}

// Unmount implements cephfs.Mounter. The kernel writes back what it has before
// the call returns.
func (k *Mounter) Unmount(ctx context.Context, path string) error { return k.host.Unmount(ctx, path) }

// Limit implements cephfs.Mounter: a mount costs a session and no process.
func (k *Mounter) Limit() int64 { return 0 }
