package mount

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func deviceOf(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Lstat(path, &st))
	return st.Dev
}

// over is an overlay that shows «v» in the mount table.
func over(lower, path string) volume.Overlay {
	return volume.Overlay{Path: path, Lower: lower, Shows: "v"}
}

// overlaid returns where overlays of all of lower are.
func (h *Host) overlaid(t *testing.T, lower string) (paths []string) {
	t.Helper()
	all, err := h.Overlays(t.Context(), filepath.Dir(lower))
	must(t, err)
	for _, o := range all {
		if o.Lower == lower && o.Inside == "" && o.Shows == "v" {
			paths = append(paths, o.Path)
		}
	}
	return paths
}

func TestOverlayHasADeviceOfItsOwn(t *testing.T) {
	w := newWorld(t)
	seen := map[uint64]string{deviceOf(t, w.golden): w.golden}
	for _, name := range []string{"a", "b", "c"} {
		staging, target := filepath.Join(w.dir, "staging", name), w.target(name)
		for range 2 {
			must(t, w.Overlay(t.Context(), over(w.golden, staging), nil))
			must(t, w.Publish(t.Context(), publication(staging, target, true)))
		}
		if n := mountsOn(t, staging) + mountsOn(t, target); n != 2 {
			t.Fatalf("%d mounts, want 2", n)
		}
		dev := deviceOf(t, staging)
		if other, ok := seen[dev]; ok {
			t.Fatalf("%s has the device number of %s", staging, other)
		}
		seen[dev] = staging
		if deviceOf(t, target) != dev {
			t.Fatal("the target is not the staged overlay")
		}
		for _, path := range []string{staging, target} {
			if m, err := w.Mounted(t.Context(), path); err != nil || m != (volume.Mount{Device: "v", FsType: "overlay", ReadOnly: true}) {
				t.Fatalf("%s shows %+v, %v", path, m, err)
			}
		}
		wantFile(t, filepath.Join(target, "model.h5"), w.model)
		wants(t, os.WriteFile(filepath.Join(target, "new"), nil, 0o600), unix.EROFS)
		wants(t, os.Remove(filepath.Join(target, "model.h5")), unix.EROFS)
		wantFlags(t, target, "ro", "nodev", "nosuid")
	}
}

func TestOverlayUsage(t *testing.T) {
	w := newWorld(t)
	must(t, w.Overlay(t.Context(), over(w.golden, w.dir+"/o"), nil))
	have, err := w.Usage(t.Context(), w.dir+"/o")
	must(t, err)
	want, err := w.Usage(t.Context(), w.golden)
	must(t, err)
	if have != want {
		t.Fatalf("got %+v, want the lower's %+v", have, want)
	}
}

func TestOverlayRefuses(t *testing.T) {
	w := newWorld(t)
	must(t, os.MkdirAll(w.dir+"/full/x", 0o755))
	must(t, w.Overlay(t.Context(), over(w.golden, w.dir+"/o"), nil))
	for name, c := range map[string]struct {
		lower, path string
		want        error
	}{
		"no lower":              {w.dir + "/none", w.dir + "/p", volume.ErrInUse},
		"lower is not mounted":  {w.dir + "/full", w.dir + "/p", volume.ErrInUse},
		"content below":         {w.golden, w.dir + "/full", volume.ErrInUse},
		"another overlay there": {w.ext4, w.dir + "/o", volume.ErrConflict},
		"another mount there":   {w.golden, w.ext4, volume.ErrConflict},
	} {
		t.Run(name, func(t *testing.T) { wants(t, w.Overlay(t.Context(), over(c.lower, c.path), nil), c.want) })
	}
	wants(t, w.Overlay(t.Context(), volume.Overlay{Path: w.dir + "/o", Lower: w.golden, Shows: "w"}, nil), volume.ErrConflict)
	wants(t, w.Overlay(t.Context(), over(w.golden, w.dir+"/p"), []string{"suid"}), volume.ErrInvalid)
	must(t, w.Overlay(t.Context(), over(w.golden, w.dir+"/p"), []string{"noexec", "noatime"}))
	wantFlags(t, w.dir+"/p", "ro", "nodev", "nosuid", "noexec", "noatime")
}

func TestOverlaysAreFoundByTheirLower(t *testing.T) {
	w := newWorld(t)
	odd := filepath.Join(w.dir, `a:b,c\d e#=模`)
	must(t, w.Overlay(t.Context(), over(w.golden, w.dir+"/plain"), nil))
	g := golden(t, map[string][]byte{"f": []byte("x")})
	must(t, w.Mount(t.Context(), g.path, odd, erofs, true, nil))
	must(t, w.Overlay(t.Context(), over(odd, odd+"o1"), nil))
	must(t, w.Overlay(t.Context(), over(odd, odd+"o2"), nil))
	must(t, w.Overlay(t.Context(), over(odd, odd+"o2"), nil))
	must(t, w.Publish(t.Context(), publication(odd+"o2", w.target("p"), true)))
	wantFile(t, odd+"o1/f", []byte("x"))
	for lower, want := range map[string][]string{
		odd:      {odd + "o1", odd + "o2", w.target("p")},
		w.golden: {w.dir + "/plain"},
		w.dir:    nil,
		w.ext4:   nil,
	} {
		have := w.overlaid(t, lower)
		slices.Sort(have)
		slices.Sort(want)
		if !slices.Equal(have, want) {
			t.Errorf("overlays of %q: %q, want %q", lower, have, want)
		}
	}
}

// A directory of a mount is shown without what is above it, and is found by the
// mount's name.
func TestOverlayOfADirectory(t *testing.T) {
	w := newWorld(t)
	g := golden(t, map[string][]byte{"f": []byte("outside"), "a/b/f": []byte("inside")})
	lower := w.dir + "/whole"
	must(t, w.Mount(t.Context(), g.path, lower, erofs, true, nil))
	o := volume.Overlay{Path: w.dir + "/part", Lower: lower, Inside: "a/b", Shows: "v"}
	for range 2 {
		must(t, w.Overlay(t.Context(), o, nil))
	}
	wantFile(t, o.Path+"/f", []byte("inside"))
	wants(t, w.Overlay(t.Context(), over(lower, o.Path), nil), volume.ErrConflict)
	all, err := w.Overlays(t.Context(), w.dir)
	must(t, err)
	if !slices.Contains(all, o) {
		t.Errorf("the overlays are %v", all)
	}
}

// Whatever is unmounted first, the rest goes on, and the device is free when
// all is gone.
func TestOverlayUnmountOrder(t *testing.T) {
	for name, order := range map[string][3]string{
		"pod first":     {"target", "staging", "lower"},
		"lower first":   {"lower", "staging", "target"},
		"staging first": {"staging", "lower", "target"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m, err := w.Mounted(t.Context(), w.golden)
			must(t, err)
			staging, target := w.dir+"/o", w.target("p")
			must(t, w.Overlay(t.Context(), over(w.golden, staging), nil))
			must(t, w.Publish(t.Context(), publication(staging, target, true)))
			for i, what := range order {
				must(t, w.Unmount(t.Context(), map[string]string{"target": target, "staging": staging, "lower": w.golden}[what]))
				paths := w.overlaid(t, w.golden)
				users, err := w.Users(t.Context(), m.Device)
				must(t, err)
				if last := i == len(order)-1; (len(paths)+users == 0) != last {
					t.Fatalf("after %s: overlays %q, %d users", what, paths, users)
				}
				for _, p := range paths {
					wantFile(t, filepath.Join(p, "model.h5"), w.model)
				}
			}
			eventually(t, "the device is free", func() bool { return openExclusively(m.Device) == nil })
		})
	}
}

// openExclusively fails while a file system is on the device.
func openExclusively(device string) error {
	fd, err := unix.Open(device, unix.O_RDONLY|unix.O_EXCL, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// What is read through one overlay is in the page cache of the others.
func TestOverlaysShareOnePageCache(t *testing.T) {
	h, dir := NewHost(), scratch(t)
	model := bytes.Repeat([]byte("0123456789abcdef"), 512<<10) // 8 MiB
	g := golden(t, map[string][]byte{"model.h5": model})
	must(t, h.Mount(t.Context(), g.path, dir+"/lower", erofs, true, nil))
	must(t, h.Overlay(t.Context(), over(dir+"/lower", dir+"/a"), nil))
	must(t, h.Overlay(t.Context(), over(dir+"/lower", dir+"/b"), nil))
	if n := cached(t, dir+"/b/model.h5"); n > 0.1 {
		t.Fatalf("%.0f %% is cached before the first read", 100*n)
	}
	wantFile(t, dir+"/a/model.h5", model)
	for _, other := range []string{"/lower", "/b"} {
		if n := cached(t, dir+other+"/model.h5"); n < 0.5 {
			t.Errorf("%.0f %% is cached for %s after a read through /a", 100*n, other)
		}
	}
}

// cached returns which part of a file is in the page cache (mincore(2)).
func cached(t *testing.T, path string) float64 {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	st, err := f.Stat()
	must(t, err)
	data, err := unix.Mmap(int(f.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_SHARED)
	must(t, err)
	defer func() { must(t, unix.Munmap(data)) }()
	pages := make([]byte, (len(data)+os.Getpagesize()-1)/os.Getpagesize())
	must(t, mincore(data, pages))
	n := 0
	for _, p := range pages {
		n += int(p & 1)
	}
	return float64(n) / float64(len(pages))
}
