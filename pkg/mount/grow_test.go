package mount

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func TestGrow(t *testing.T) {
	h, dir := NewHost(), scratch(t)
	for name, c := range map[string]struct {
		fsType   string
		from, to int64
	}{
		"ext4":            {ext4, 32 << 20, 96 << 20},
		"ext4, one group": {ext4, 128 << 20, 160 << 20},
		"ext4, long":      {ext4, 128 << 20, 4 << 30},
		"xfs":             {xfs, 320 << 20, 500 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			l, path := formatted(t, c.fsType, c.from), dir+"/"+name
			must(t, h.Mount(t.Context(), l.path, path, c.fsType, false, []string{"noatime", "discard"}))
			must(t, os.WriteFile(path+"/data", []byte("data"), 0o600))
			must(t, h.Grow(t.Context(), l.path, path))
			before := total(t, h, path)
			l.grow(c.to)
			for range 2 {
				must(t, h.Grow(t.Context(), l.path, path))
			}
			if after := total(t, h, path); after-before < (c.to-c.from)/2 {
				t.Fatalf("%d bytes became %d", before, after)
			}
			wantFile(t, path+"/data", []byte("data"))
			must(t, os.WriteFile(path+"/more", []byte("data"), 0o600))
			wantFlags(t, path, "noatime", "nodev", "nosuid")
		})
	}
}

func wantFlags(t *testing.T, path string, flags ...string) {
	t.Helper()
	e, err := openEntry(path)
	must(t, err)
	defer e.close()
	_, r, err := e.mounted()
	must(t, err)
	for _, f := range flags {
		if !hasOption(r.flags, f) {
			t.Errorf("%s is mounted %s, without %s", path, r.flags, f)
		}
	}
}

func total(t *testing.T, h *Host, path string) int64 {
	t.Helper()
	u, err := h.Usage(t.Context(), path)
	must(t, err)
	return u.Total
}

// A file system that cannot use the device's last blocks is large enough.
func TestGrowOfOddSizes(t *testing.T) {
	h, dir := NewHost(), scratch(t)
	for _, extra := range []int64{512, 4096, 100 << 10, 1<<20 + 4096} {
		t.Run(fmt.Sprint(extra), func(t *testing.T) {
			l, path := formatted(t, ext4, 128<<20+extra), fmt.Sprint(dir, "/", extra)
			must(t, h.Mount(t.Context(), l.path, path, ext4, false, nil))
			must(t, h.Grow(t.Context(), l.path, path))
			for _, size := range []int64{129 << 20, 132 << 20, 256<<20 + extra} {
				l.grow(size)
				must(t, h.Grow(t.Context(), l.path, path))
				want, err := ext4Wants(l.path)
				must(t, err)
				if want != 0 {
					t.Fatalf("after growing to %d bytes it wants %d blocks more", size, want)
				}
			}
		})
	}
}

// Without CAP_SYS_RESOURCE ext4 grows in its staging path only.
func TestGrowOfAPublishedVolume(t *testing.T) {
	h, dir := NewHost(), scratch(t)
	for fsType, sizes := range map[string][2]int64{ext4: {32 << 20, 64 << 20}, xfs: {320 << 20, 500 << 20}} {
		t.Run(fsType, func(t *testing.T) {
			l, path, target := formatted(t, fsType, sizes[0]), dir+"/"+fsType, dir+"/target "+fsType
			must(t, h.Mount(t.Context(), l.path, path, fsType, false, nil))
			must(t, h.Publish(t.Context(), publication(path, target, false)))
			l.grow(sizes[1])
			want := error(nil)
			if fsType == ext4 && !mayGrowExt4(t) {
				want = volume.ErrUnsupported
			}
			wants(t, h.Grow(t.Context(), l.path, path), want)
			wants(t, h.Grow(t.Context(), l.path, target), want)
			must(t, os.WriteFile(target+"/data", []byte("data"), 0o600))
		})
	}
}

func mayGrowExt4(t *testing.T) bool {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	must(t, unix.Capget(&header, &data[0]))
	return data[0].Effective&(1<<unix.CAP_SYS_RESOURCE) != 0
}

func TestGrowRefuses(t *testing.T) {
	w := newWorld(t)
	m, err := w.Mounted(t.Context(), w.golden)
	must(t, err)
	wants(t, w.Grow(t.Context(), m.Device, w.golden), volume.ErrInvalid)
	wants(t, w.Grow(t.Context(), m.Device, w.ext4), volume.ErrInvalid)
	wants(t, w.Grow(t.Context(), m.Device, w.dir+"/none"), volume.ErrNotFound)
	wants(t, w.Grow(t.Context(), "/dev/none", w.ext4), volume.ErrNotFound)
}
