package mount

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func TestMountIsIdempotent(t *testing.T) {
	h, dir := NewHost(), scratch(t)
	for name, c := range map[string]struct {
		device   *loop
		fsType   string
		readOnly bool
	}{
		"erofs":           {golden(t, nil), erofs, true},
		"ext4":            {formatted(t, ext4, 32<<20), ext4, false},
		"ext4, read-only": {formatted(t, ext4, 32<<20), ext4, true},
		"xfs":             {formatted(t, xfs, 320<<20), xfs, false},
		"xfs, read-only":  {formatted(t, xfs, 320<<20), xfs, true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name)
			for range 2 {
				must(t, h.Mount(t.Context(), c.device.path, path, c.fsType, c.readOnly, []string{"noatime", "discard"}))
			}
			if n := mountsOn(t, path); n != 1 {
				t.Fatalf("%d mounts, want 1", n)
			}
			m, err := h.Mounted(t.Context(), path)
			must(t, err)
			if want := (volume.Mount{Device: c.device.path, FsType: c.fsType, ReadOnly: c.readOnly}); m != want {
				t.Fatalf("mounted %+v, want %+v", m, want)
			}
			wants(t, h.Mount(t.Context(), c.device.path, path, c.fsType, true, nil), map[bool]error{true: nil, false: volume.ErrConflict}[c.readOnly])
			for range 2 {
				must(t, h.Unmount(t.Context(), path))
			}
			must(t, exists(path)) // the CO's directory
			_, err = h.Mounted(t.Context(), path)
			wants(t, err, volume.ErrNotFound)
		})
	}
}

// Two clones of one golden have the same UUID.
func TestMountXFSTwins(t *testing.T) {
	h, dir := NewHost(), scratch(t)
	one, two := formatted(t, xfs, 320<<20), newLoop(t, 320<<20, 0)
	if _, err := two.backing.ReadFrom(one.backing); err != nil {
		t.Fatal(err)
	}
	must(t, h.Mount(t.Context(), one.path, filepath.Join(dir, "1"), xfs, false, nil))
	must(t, h.Mount(t.Context(), two.path, filepath.Join(dir, "2"), xfs, false, nil))
}

// A read-only mount of a file system that was not unmounted must not replay
// its journal.
func TestMountReadOnlyDoesNotWrite(t *testing.T) {
	h, dir := NewHost(), scratch(t)
	for fsType, size := range map[string]int64{ext4: 32 << 20, xfs: 320 << 20} {
		t.Run(fsType, func(t *testing.T) {
			l, path := formatted(t, fsType, size), filepath.Join(dir, fsType)
			must(t, h.Mount(t.Context(), l.path, path, fsType, false, nil))
			must(t, os.WriteFile(filepath.Join(path, "file"), []byte("data"), 0o600))
			syncFiles(t, path)
			dirty := newLoop(t, size, unix.LO_FLAGS_READ_ONLY)
			if _, err := dirty.backing.ReadFrom(l.backing); err != nil {
				t.Fatal(err)
			}
			again := filepath.Join(dir, fsType+" again")
			must(t, h.Mount(t.Context(), dirty.path, again, fsType, true, nil))
			wants(t, h.Mount(t.Context(), dirty.path, filepath.Join(dir, "rw"), fsType, false, nil), volume.ErrInUse)
		})
	}
}

func syncFiles(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	must(t, unix.Syncfs(int(f.Fd())))
	must(t, f.Close())
}

func TestMountRefuses(t *testing.T) {
	h, dir := NewHost(), scratch(t)
	e, x := formatted(t, ext4, 32<<20), newLoop(t, 32<<20, 0)
	must(t, os.Symlink("/etc", filepath.Join(dir, "link")))
	plain := filepath.Join(dir, "plain")
	must(t, os.WriteFile(plain, nil, 0o600))
	for name, c := range map[string]struct {
		device, path, fsType string
		readOnly             bool
		options              []string
		want                 error
	}{
		"unknown option":          {e.path, "p", ext4, false, []string{"data=journal"}, volume.ErrInvalid},
		"suid":                    {e.path, "p", ext4, false, []string{"suid"}, volume.ErrInvalid},
		"two options in one":      {e.path, "p", ext4, false, []string{"noatime,suid"}, volume.ErrInvalid},
		"ro for a writer":         {e.path, "p", ext4, false, []string{"ro"}, volume.ErrInvalid},
		"unknown file system":     {e.path, "p", "btrfs", false, nil, volume.ErrInvalid},
		"another file system":     {e.path, "p", xfs, false, nil, volume.ErrInvalid},
		"writable EROFS":          {e.path, "p", erofs, false, nil, volume.ErrInvalid},
		"blank device":            {x.path, "p", ext4, false, nil, volume.ErrInvalid},
		"not a device":            {plain, "p", ext4, false, nil, volume.ErrInvalid},
		"no device":               {"/dev/none", "p", ext4, false, nil, volume.ErrNotFound},
		"a symbolic link":         {e.path, "link", ext4, false, nil, volume.ErrInvalid},
		"below a symbolic link":   {e.path, "link/p", ext4, false, nil, volume.ErrInvalid},
		"a file where it goes":    {e.path, "plain", ext4, false, nil, volume.ErrConflict},
		"a name that is too long": {e.path, strings.Repeat("x", 300), ext4, false, nil, volume.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			wants(t, h.Mount(t.Context(), c.device, filepath.Join(dir, c.path), c.fsType, c.readOnly, c.options), c.want)
		})
	}
	rows, err := readTable()
	must(t, err)
	for _, r := range rows {
		if strings.HasPrefix(r.path, dir+"/") || r.path == "/etc" {
			t.Fatalf("mounted: %+v", r)
		}
	}
}

func TestMountOptionsTakeEffect(t *testing.T) {
	h, dir := NewHost(), scratch(t)
	l := formatted(t, ext4, 32<<20)
	must(t, h.Mount(t.Context(), l.path, dir+"/p", ext4, false, []string{"relatime", "noatime", "nodiratime", "noexec", "discard"}))
	e, err := openEntry(dir + "/p")
	must(t, err)
	defer e.close()
	_, r, err := e.mounted()
	must(t, err)
	for _, o := range []string{"rw", "nosuid", "nodev", "noexec", "noatime", "nodiratime"} {
		if !hasOption(r.flags, o) {
			t.Errorf("option %s is not in %s", o, r.flags)
		}
	}
	if !hasOption(r.options, "discard") {
		t.Errorf("discard is not in %s", r.options)
	}
}

func TestMountFindsOddPaths(t *testing.T) {
	h, dir := NewHost(), scratch(t)
	g := golden(t, map[string][]byte{"f": []byte("x")})
	long := strings.Repeat("/"+strings.Repeat("d", 250), 15)
	for name, path := range map[string]string{
		"space":     dir + "/a b\tc\nd",
		"backslash": dir + `/a\040b\`,
		"hash":      dir + "/#a#",
		"unicode":   dir + "/模型-модель-é",
		"quote":     dir + `/"x"`,
		"not UTF-8": dir + "/\xff\xfe",
		"long":      dir + long,
	} {
		t.Run(name, func(t *testing.T) {
			must(t, h.Mount(t.Context(), g.path, path, erofs, true, nil))
			target := path + "-pod"
			must(t, h.Publish(t.Context(), publication(path, target, true)))
			must(t, h.Publish(t.Context(), publication(path, target, true)))
			for _, p := range []string{path, target} {
				if n := mountsOn(t, p); n != 1 {
					t.Fatalf("%q is %d times in the mount table", p, n)
				}
			}
			must(t, h.Unpublish(t.Context(), target))
			must(t, h.Unmount(t.Context(), path))
		})
	}
}

// A volume may have a file with the name under which devices are bound.
func TestUnmountLeavesTheVolumesFiles(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(w.ext4, volume.StagedDevice)
	must(t, os.WriteFile(file, nil, 0o600))
	must(t, w.Unmount(t.Context(), file))
	must(t, exists(file))
	must(t, os.WriteFile(file, []byte("data"), 0o000))
	must(t, w.Unmount(t.Context(), file))
	must(t, exists(file))
}

func TestUnmountRemovesAStaleFile(t *testing.T) {
	h, dir := NewHost(), scratch(t)
	e, err := makeEntry(dir + "/staging/device")
	must(t, err)
	defer e.close()
	must(t, e.touch())
	must(t, h.Unmount(t.Context(), e.path))
	wants(t, exists(e.path), os.ErrNotExist)
	must(t, h.Unmount(t.Context(), dir+"/no/such/path"))
}

func TestUnmountEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wants(t, w.Unmount(ctx, w.ext4), context.Canceled)
	if n := mountsOn(t, w.ext4); n != 1 {
		t.Fatal("it was unmounted")
	}
}

// xfsGoingDown is XFS_IOC_GOINGDOWN: the file system answers EIO from then on,
// as one whose device went away.
const xfsGoingDown = 0x8004587d

func TestADeadFileSystemIsUnmounted(t *testing.T) {
	h, dir := NewHost(), scratch(t)
	l := formatted(t, xfs, 320<<20)
	staging, target := dir+"/staging", dir+"/target"
	must(t, h.Mount(t.Context(), l.path, staging, xfs, false, nil))
	must(t, h.Publish(t.Context(), publication(staging, target, false)))
	e, err := openEntry(staging)
	must(t, err)
	defer e.close()
	how := uint32(2) // without flushing the log
	must(t, e.request(xfsGoingDown, unsafe.Pointer(&how)))
	_, err = os.Stat(staging)
	wants(t, err, unix.EIO)
	must(t, h.Unpublish(t.Context(), target))
	must(t, h.Unmount(t.Context(), staging))
	wants(t, exists(target), os.ErrNotExist)
}

func TestUsersCountsMountsAndBinds(t *testing.T) {
	w := newWorld(t)
	m, err := w.Mounted(t.Context(), w.golden)
	must(t, err)
	check := func(want int) {
		t.Helper()
		n, err := w.Users(t.Context(), m.Device)
		must(t, err)
		if n != want {
			t.Fatalf("%d users, want %d", n, want)
		}
	}
	check(1)
	must(t, w.Publish(t.Context(), publication(w.golden, w.target("a"), true)))
	must(t, w.BindDevice(t.Context(), m.Device, w.dir+"/node", true))
	check(3)
	must(t, w.Unmount(t.Context(), w.dir+"/node"))
	must(t, w.Unmount(t.Context(), w.golden))
	check(1)
	must(t, w.Unpublish(t.Context(), w.target("a")))
	check(0)
	n, err := w.Users(t.Context(), "/dev/none")
	must(t, err)
	if n != 0 {
		t.Fatalf("an absent device has %d users", n)
	}
}

func TestBindDeviceRefuses(t *testing.T) {
	w := newWorld(t)
	one, two := newLoop(t, 8<<20, 0), newLoop(t, 8<<20, 0)
	node := w.dir + "/block/device"
	must(t, w.BindDevice(t.Context(), one.path, node, false))
	wants(t, w.BindDevice(t.Context(), two.path, node, false), volume.ErrConflict)
	wants(t, w.BindDevice(t.Context(), "/dev/none", node, false), volume.ErrNotFound)
	wants(t, w.BindDevice(t.Context(), "/dev/null", node, false), volume.ErrInvalid)
	wants(t, w.BindDevice(t.Context(), two.path, w.dir+"/block", false), volume.ErrConflict)
}
