package fuse

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The sizes of images are odd on purpose: neither objects nor pages fill them.
const someSize = 9<<20 + 512

func TestRealSnapshotIsMappedTwice(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	m, content := n.image("golden.a.v1", someSize)
	m = n.sealed(m)
	for range 2 {
		device := n.mapped(m)
		if again := n.mapped(m); again != device {
			t.Fatalf("mapped on %s and on %s", device, again)
		}
		n.shows(device, content)
		n.refusesWrites(device)
		n.unmapped(m)
		n.unmapped(m)
		if _, err := n.Find(t.Context(), m); !errors.Is(err, volume.ErrNotFound) {
			t.Fatalf("found after the unmap: %v", err)
		}
	}
}

// refusesWrites tries at the device, and to make it writable.
func (n *node) refusesWrites(device string) {
	n.t.Helper()
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		_, err = unix.Pwrite(fd, make([]byte, 512), 0)
		_ = unix.Close(fd)
	}
	if err == nil {
		n.t.Fatalf("%s was written to", device)
	}
	fd, err = unix.Open(device, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		n.t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.IoctlSetPointerInt(fd, unix.BLKROSET, 0); err == nil {
		w, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err == nil {
			_, err = unix.Pwrite(w, make([]byte, 512), 0)
			_ = unix.Close(w)
		}
		if err == nil {
			n.t.Fatalf("%s was made writable", device)
		}
	}
}

func TestRealWritableKeepsWhatWasWritten(t *testing.T) {
	t.Parallel()
	for _, fsType := range []string{"ext4", "xfs"} {
		t.Run(fsType, func(t *testing.T) {
			n := newNode(t)
			m, _ := n.image("vol."+fsType, 1<<20)
			n.ceph.RBD("resize", "--no-progress", "--size", "400M", n.pool+"/acme/"+m.Image)
			device := n.mapped(m)
			n.run("mkfs."+fsType, device)
			dir, unmount := n.mount(device)
			if err := os.WriteFile(filepath.Join(dir, "file"), []byte("kept"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := n.Unmap(t.Context(), m); !errors.Is(err, volume.ErrInUse) {
				t.Fatalf("unmap while mounted: %v", err)
			}
			unmount()
			n.unmapped(m)
			dir, unmount = n.mount(n.mapped(m))
			if got, err := os.ReadFile(filepath.Join(dir, "file")); string(got) != "kept" {
				t.Fatalf("read %q, %v", got, err)
			}
			unmount()
			n.unmapped(m)
		})
	}
}

// What a discard or a writing of zeros left must read as zeros, also where it
// does not fill objects.
func TestRealZeroing(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	m, content := n.image("vol.zero", someSize)
	device := n.mapped(m)
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for mode, at := range map[uint32]int64{
		unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE: 1<<20 + 4096,
		unix.FALLOC_FL_ZERO_RANGE | unix.FALLOC_FL_KEEP_SIZE: 5<<20 + 8192,
	} {
		if err := unix.Fallocate(fd, mode, at, 12288); err != nil {
			t.Fatalf("mode %#x: %v", mode, err)
		}
		clear(content[at : at+12288])
	}
	if err := unix.Fsync(fd); err != nil {
		t.Fatal(err)
	}
	n.shows(device, content)
	_ = unix.Close(fd)
	n.unmapped(m)
	n.shows(n.mapped(m), content)
}

func TestRealOpenDeviceStays(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	m, content := n.image("vol.open", someSize)
	device := n.mapped(m)
	file, err := os.Open(device)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := n.Unmap(t.Context(), m); !errors.Is(err, volume.ErrInUse) {
			t.Fatalf("unmap of an open device: %v", err)
		}
	}
	_ = file.Close()
	n.shows(device, content)
	n.unmapped(m)
}

func TestRealRefusals(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	m, _ := n.image("vol.there", someSize)
	missing, noPool, noSnapshot, other := m, m, m, m
	missing.Image, noPool.Pool, noSnapshot.Snapshot, other.ImageID = "vol.missing", "no-such-pool", "none", "0123456789ab"
	otherCluster := m
	otherCluster.FSID = "00000000-0000-0000-0000-000000000000"
	stranger := volume.Credentials{User: "nobody", Key: n.key.Key}
	wrong := volume.Credentials{User: "admin", Key: "AQBq8V5lAAAAABAAq0000000000000000000000=="}
	for name, c := range map[string]struct {
		mapping rbd.Mapping
		key     volume.Credentials
		want    error
	}{
		"no image":        {missing, n.key, volume.ErrNotFound},
		"no pool":         {noPool, n.key, volume.ErrNotFound},
		"no snapshot":     {noSnapshot, n.key, volume.ErrNotFound},
		"another image":   {other, n.key, volume.ErrNotFound},
		"another cluster": {otherCluster, n.key, volume.ErrNotFound},
		"no such user":    {m, stranger, volume.ErrDenied},
		"another's key":   {m, wrong, volume.ErrDenied},
		"not even a key":  {m, volume.Credentials{User: "admin", Key: "?"}, volume.ErrDenied},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := n.Map(t.Context(), c.mapping, c.key); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			} else if strings.Contains(err.Error(), c.key.Key.Reveal()) && len(c.key.Key) > 1 {
				t.Fatal("the error has the key")
			}
			if left, _ := os.ReadDir(n.options.StateDir); len(left) != 0 {
				t.Fatalf("left %v", left)
			}
		})
	}
}

// A key that may only read, and only this namespace.
func TestRealReaderKey(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	m, content := n.image("golden.r.v1", someSize)
	sealed := n.sealed(m)
	caps := "profile rbd-read-only pool=" + n.pool + " namespace=acme"
	user := "reader-" + n.pool
	n.key = volume.Credentials{User: user, Key: volume.Secret(n.ceph.User(user, "mon", "profile rbd-read-only", "osd", caps))}
	n.shows(n.mapped(sealed), content)
	if _, err := n.Map(t.Context(), m, n.key); !errors.Is(err, volume.ErrDenied) {
		t.Fatalf("mapped for writing with a reader's key: %v", err)
	}
}

func TestRealNewMapperFindsAll(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	a, _ := n.image("golden.one.v1", someSize)
	b, _ := n.image("vol.two", someSize)
	foreign, _ := n.image("else", someSize)
	a = n.sealed(a)
	devices := map[string]string{a.Image: n.mapped(a), b.Image: n.mapped(b), foreign.Image: n.mapped(foreign)}
	n.Mapper = New(n.options)
	listed, err := n.List(t.Context())
	if err != nil || len(listed) != 2 {
		t.Fatalf("listed %+v, %v", listed, err)
	}
	for _, l := range listed {
		if l.Device.Path != devices[l.Image] || l.ReadOnly != (l.Snapshot != "") || l.ImageID == "" || l.FSID == "" || l.PoolID == 0 || (l.SnapshotID == 0) != (l.Snapshot == "") {
			t.Errorf("listed %+v", l)
		}
		if found, err := n.Find(t.Context(), l.Mapping); err != nil || found != l.Device {
			t.Errorf("found %v, %v", found, err)
		}
		n.unmapped(l.Mapping)
	}
}

func TestRealRefresh(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	m, _ := n.image("vol.grows", 4<<20)
	device := n.mapped(m)
	n.ceph.RBD("resize", "--no-progress", "--size", "12M", n.pool+"/acme/"+m.Image)
	n.eventually("the device to grow", func() bool {
		if err := n.Refresh(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		return sizeOf(t, device) == 12<<20
	})
}

// A repeated map gives the device its file's size, which a mapper that was
// killed in the middle of the attaching leaves at 0.
func TestRealMapAgainFinishes(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	m, _ := n.image("vol.unfinished", 4<<20)
	device := n.mapped(m)
	n.ceph.RBD("resize", "--no-progress", "--size", "12M", n.pool+"/acme/"+m.Image)
	n.eventually("the device to have its size", func() bool {
		return n.mapped(m) == device && sizeOf(t, device) == 12<<20
	})
	n.unmapped(m)
}

func sizeOf(t *testing.T, device string) int64 {
	t.Helper()
	file, err := os.Open(device)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	size, err := file.Seek(0, 2)
	if err != nil {
		t.Fatal(err)
	}
	return size
}

func TestRealParallel(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	var all sync.WaitGroup
	for _, name := range []string{"vol.p1", "vol.p2", "vol.p3", "vol.p4"} {
		m, content := n.image(name, someSize)
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			d, err := n.Map(ctx, m, n.key)
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := os.ReadFile(d.Path); err != nil || string(got) != string(content) {
				t.Errorf("%s shows something else: %v", d.Path, err)
			}
			if err := patiently(ctx, func() error { return n.Unmap(ctx, m) }); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}
