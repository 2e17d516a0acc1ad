package fuse

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/mount"
	"github.com/sdp-csi/sdp-csi/pkg/mounter"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// limit is how many volumes a node can have mounted: a process each is what
// they cost.
const limit = 1024

// pause is between two looks at what is going.
const pause = 50 * time.Millisecond

// Options say where things are. A zero field means its default.
type Options struct {
	Host       *mount.Host     // needed
	Starter    mounter.Starter // mounter.Local
	StateDir   string          // has the mounts (/run/sdp-csi)
	Proc       string          // /proc
	MapTimeout time.Duration   // bounds one mount where its context does not (1 min)
	EndTimeout time.Duration   // bounds the end of a process after its mount (30 s)
}

func (o Options) withDefaults() Options {
	if o.Starter == nil {
		o.Starter = mounter.Local{}
	}
	if o.StateDir == "" {
		o.StateDir = "/run/sdp-csi"
	}
	if o.Proc == "" {
		o.Proc = "/proc"
	}
	if o.MapTimeout <= 0 {
		o.MapTimeout = time.Minute
	}
	if o.EndTimeout <= 0 {
		o.EndTimeout = 30 * time.Second
	}
	return o
}

// Mounter is cephfs.Mounter on ceph-fuse.
type Mounter struct {
	Options
	processes processes
}

// New returns a Mounter.
func New(o Options) *Mounter {
	o = o.withDefaults()
	return &Mounter{Options: o, processes: processes{proc: o.Proc}}
}

// Available says whether this node can mount.
func (f *Mounter) Available(context.Context) error {
	if err := f.Starter.Has(mounter.CephFUSE); err != nil {
		return err
	}
	if err := unix.Access("/dev/fuse", unix.R_OK|unix.W_OK); err != nil {
		return fmt.Errorf("open /dev/fuse: %w: %w", err, volume.ErrUnsupported)
	}
	return nil
}

// Limit implements cephfs.Mounter.
func (f *Mounter) Limit() int64 { return limit }

// place is where ceph-fuse mounts what is to be seen at path: below the state
// directory, the one place that a program is let mount on. What is to be seen
// elsewhere is moved there.
func (f *Mounter) place(path string) string {
	path = filepath.Clean(path)
	if strings.HasPrefix(path, filepath.Clean(f.StateDir)+"/") {
		return path
	}
	sum := sha256.Sum256([]byte(path))
	return filepath.Join(f.StateDir, "volume-fs", hex.EncodeToString(sum[:12]))
}

// Mount implements cephfs.Mounter.
func (f *Mounter) Mount(ctx context.Context, t cephfs.Target, path string, options []string, c volume.Credentials) error {
	if err := errors.Join(t.MustBeTellable(c.User), mount.CheckOptions(t.ReadOnly, options)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.MapTimeout)
	defer cancel()
	place := f.place(path)
	if place == filepath.Clean(path) {
		return f.serve(ctx, t, place, c)
	}
	there, err := t.IsMounted(ctx, f.Host, path)
	if err != nil {
		return err
	}
	if there {
		// A driver that was killed just then may not have come to this.
		return f.leave(ctx, place)
	}
	err = f.serve(ctx, t, place, c)
	if err == nil {
		err = f.Host.Bind(ctx, place, path, t.ReadOnly, options)
	}
	if err == nil {
		err = f.leave(ctx, place)
	}
	if err != nil {
		return volume.Undone(err, f.giveUp(ctx, path))
	}
	return nil
}

// leave removes the place of a mount that is shown elsewhere by now.
func (f *Mounter) leave(ctx context.Context, place string) error {
	if err := f.unmount(ctx, place); err != nil {
		return err
	}
	return f.Host.Unpublish(ctx, place)
}

// serve mounts t on place.
func (f *Mounter) serve(ctx context.Context, t cephfs.Target, place string, c volume.Credentials) error {
	if there, err := f.await(ctx, t, place); err != nil || there {
		return err
	}
	if err := f.Host.MakeDirectory(ctx, place); err != nil {
		return err
	}
	if err := f.start(ctx, t, place, c); err != nil {
		return volume.Undone(fmt.Errorf("mount %s as %s: %w", t.Root, c.User, err), f.giveUp(ctx, place))
	}
	f.readAhead(ctx, place)
	return nil
}

// await says whether t is mounted on place. A process that a killed driver has
// started there is waited for: it mounts, or it ends. So is one whose mount has
// died; one that was shut out does not end by itself, and is killed after a while
// if it has nothing to write.
func (f *Mounter) await(ctx context.Context, t cephfs.Target, place string) (there bool, err error) {
	patience, cancel := context.WithTimeout(ctx, busyPatience)
	defer cancel()
	for {
		there, err := t.IsMounted(ctx, f.Host, place)
		if err != nil || there {
			return there, err
		}
		busy, err := f.processes.of(place)
		if err != nil || len(busy) == 0 {
			return false, err
		}
		if patience.Err() != nil && !slices.ContainsFunc(busy, process.writes) {
			err = f.processes.endReaders(place)
		}
		if err = errors.Join(err, sleep(ctx)); err != nil {
			return false, fmt.Errorf("a process that served %s before does not end: %w", place, err)
		}
	}
}

func sleep(ctx context.Context) error {
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", context.Cause(ctx), volume.ErrUnavailable)
	}
}

// giveUp ends what a failed mount left running, also after its caller has gone.
func (f *Mounter) giveUp(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.EndTimeout)
	defer cancel()
	return f.Unmount(ctx, path)
}

// Unmount implements cephfs.Mounter. The process ends by itself when it has
// written back what it had. One that a killed driver has just started may mount
// in the meantime: that goes, too.
func (f *Mounter) Unmount(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, f.EndTimeout)
	defer cancel()
	place := f.place(path)
	for {
		if err := errors.Join(f.unmount(ctx, path), f.unmount(ctx, place)); err != nil {
			return err
		}
		all, err := f.processes.of(place)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return f.clear(ctx, path, place)
		}
		if err := sleep(ctx); err == nil {
			continue
		}
		if err := f.processes.endReaders(place); err != nil {
			return fmt.Errorf("%s is unmounted, and its ceph-fuse does not end: %w", path, err)
		}
		return f.clear(ctx, path, place)
	}
}

// clear removes the directory of a mount that was moved.
func (f *Mounter) clear(ctx context.Context, path, place string) error {
	if place == filepath.Clean(path) {
		return nil
	}
	return f.Host.Unpublish(context.WithoutCancel(ctx), place)
}

// busyPatience is how long a mount may be open that nobody uses: the kernel lets
// one go a moment after the last of its files is closed, and ceph-fuse looks
// after it began whether it can be remounted.
const busyPatience = 10 * time.Second

func (f *Mounter) unmount(ctx context.Context, path string) error {
	patience, cancel := context.WithTimeout(ctx, busyPatience)
	defer cancel()
	for {
		err := f.Host.Unmount(ctx, path)
		if !errors.Is(err, volume.ErrInUse) || sleep(patience) != nil {
			return err
		}
	}
}

// arguments is what ceph-fuse is told. There is no ceph.conf, and the monitors'
// configuration is not asked for: a refusal of that has no number. It makes the
// kernel forget names by remounting; where that does not work, because there is
// no mount(8) or the mount was moved, it must not end itself. It stays in the
// foreground: as a daemon it closes the descriptors 0 to 2, which are then those
// of its own pipes. What itself or that mount(8) says of an error goes into the
// stream of FUSE's requests, or waits for ever for the thread that waits there.
func arguments(t cephfs.Target, place, user string) []string {
	options := "fsname=" + t.TableSource(cephfs.FUSESource) + ",nodev,nosuid"
	if t.ReadOnly {
		options += "," + readOnly
	}
	// No files of its own but the log of the mounter: ceph-fuse ends where it
	// cannot make its run-dir, and a container's root may be read-only.
	return append([]string{
		"--conf=" + os.DevNull, "--no-mon-config", "--mon-host=[v2:" + strings.Join(t.Monitors, "],[v2:") + "]", "--id=" + user,
		"--keyfile=" + mounter.KeyPath, "--client_fs=" + t.FileSystem, "--client_mountpoint=" + t.Root,
		"--client_mount_timeout=30", "--client_die_on_failed_remount=false", "--client_die_on_failed_dentry_invalidate=false",
		"--log-file=", "--admin-socket=", "--run-dir=", "--daemonize=false",
	}, append(speed(t.ReadOnly), "-o", options, place)...)
}

// readOnly is the last option of a mount that nobody writes through.
const readOnly = "ro"
