package mount

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// world is a node with one staged golden and one staged writable volume.
type world struct {
	*Host
	dir    string
	golden string // staging path, read-only EROFS
	ext4   string // staging path, writable
	model  []byte
}

func newWorld(t testing.TB) world {
	t.Helper()
	w := world{Host: NewHost(), dir: scratch(t), model: []byte("the weights")}
	w.golden, w.ext4 = filepath.Join(w.dir, "staging", "golden"), filepath.Join(w.dir, "staging", "ext4")
	g := golden(t, map[string][]byte{"model.h5": w.model})
	must(t, w.Mount(t.Context(), g.path, w.golden, erofs, true, nil))
	e := formatted(t, ext4, 32<<20)
	must(t, w.Mount(t.Context(), e.path, w.ext4, ext4, false, nil))
	return w
}

func (w world) target(name string) string { return filepath.Join(w.dir, "pods", name, "mount") }

func TestPublishShowsTheVolume(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		staging  string
		readOnly bool
		write    error
	}{
		"golden":                     {w.golden, true, unix.EROFS},
		"golden, not said read-only": {w.golden, false, unix.EROFS},
		"writable":                   {w.ext4, false, nil},
		"writable, read by one pod":  {w.ext4, true, unix.EROFS},
	} {
		t.Run(name, func(t *testing.T) {
			p := publication(c.staging, w.target(name), c.readOnly)
			for range 3 {
				must(t, w.Publish(t.Context(), p))
			}
			if n := mountsOn(t, p.Target); n != 1 {
				t.Fatalf("%d mounts on the target, want 1", n)
			}
			wants(t, os.WriteFile(filepath.Join(p.Target, "new"), nil, 0o600), c.write)
			if c.staging == w.golden {
				wantFile(t, filepath.Join(p.Target, "model.h5"), w.model)
			}
			m, err := w.Mounted(t.Context(), p.Target)
			must(t, err)
			if m.ReadOnly != (c.write != nil) {
				t.Fatalf("mounted as %+v", m)
			}
			for range 3 {
				must(t, w.Unpublish(t.Context(), p.Target))
			}
			wants(t, exists(p.Target), os.ErrNotExist)
		})
	}
	// The staged volume is as writable as it was.
	must(t, os.WriteFile(filepath.Join(w.ext4, "after"), nil, 0o600))
}

func exists(path string) error {
	_, err := os.Lstat(path)
	return err
}

func TestPublishHasNoDeviceNodesAndNoSetuid(t *testing.T) {
	w := newWorld(t)
	must(t, unix.Mknod(filepath.Join(w.ext4, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	must(t, w.Publish(t.Context(), publication(w.ext4, w.target("p"), false)))
	_, err := os.Open(filepath.Join(w.target("p"), "null"))
	wants(t, err, os.ErrPermission)
}

// A mount inside a published volume must not show up in others.
func TestPublishIsPrivate(t *testing.T) {
	w := newWorld(t)
	must(t, unix.Mount("", w.dir, "", unix.MS_SHARED|unix.MS_REC, ""))
	must(t, os.Mkdir(filepath.Join(w.ext4, "sub"), 0o755))
	for _, name := range []string{"a", "b"} {
		must(t, w.Publish(t.Context(), publication(w.ext4, w.target(name), false)))
	}
	must(t, unix.Mount("tmpfs", filepath.Join(w.target("a"), "sub"), "tmpfs", 0, ""))
	for _, other := range []string{w.ext4, w.target("b")} {
		if n := mountsOn(t, filepath.Join(other, "sub")); n != 0 {
			t.Fatalf("the mount inside one pod's volume is in %s too", other)
		}
	}
}

func TestPublishRefuses(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	must(t, w.Publish(ctx, publication(w.ext4, w.target("rw"), false)))
	must(t, w.Publish(ctx, publication(w.ext4, w.target("ro"), true)))
	must(t, os.MkdirAll(filepath.Join(w.dir, "file"), 0o755))
	must(t, os.WriteFile(filepath.Join(w.dir, "file", "mount"), []byte("x"), 0o600))
	must(t, os.Symlink("/etc", filepath.Join(w.dir, "link")))
	must(t, os.MkdirAll(filepath.Join(w.dir, "pods", "link"), 0o755))
	must(t, os.Symlink("/etc", w.target("link")))
	must(t, os.Mkdir(filepath.Join(w.dir, "plain"), 0o755))
	for name, c := range map[string]struct {
		p    volume.Publication
		want error
	}{
		"nothing staged":         {publication(filepath.Join(w.dir, "plain"), w.target("x"), true), volume.ErrInUse},
		"no staging path":        {publication(filepath.Join(w.dir, "none"), w.target("x"), true), volume.ErrInUse},
		"another volume there":   {publication(w.golden, w.target("rw"), true), volume.ErrConflict},
		"rw over read-only":      {publication(w.ext4, w.target("ro"), false), volume.ErrConflict},
		"a file there":           {publication(w.ext4, filepath.Join(w.dir, "file", "mount"), false), volume.ErrConflict},
		"below a file":           {publication(w.ext4, filepath.Join(w.dir, "file", "mount", "x"), false), volume.ErrInvalid},
		"a link on the way":      {publication(w.ext4, filepath.Join(w.dir, "link", "mount"), false), volume.ErrInvalid},
		"the target is a link":   {publication(w.ext4, w.target("link"), false), volume.ErrInvalid},
		"a link to the staging":  {publication(filepath.Join(w.dir, "link"), w.target("x"), false), volume.ErrInUse},
		"relative":               {publication(w.ext4, "target", false), volume.ErrInvalid},
		"the root":               {publication(w.ext4, "/", false), volume.ErrInvalid},
		"block without a device": {volume.Publication{Staging: w.ext4, Target: w.target("x"), Block: true}, volume.ErrInUse},
	} {
		t.Run(name, func(t *testing.T) { wants(t, w.Publish(ctx, c.p), c.want) })
	}
	if n := mountsOn(t, "/etc"); n != 0 {
		t.Fatal("a symbolic link was followed")
	}
	wants(t, exists(w.target("x")), os.ErrNotExist)
}

// A writable mount where a read-only one is asked for is another publication;
// on a kernel that makes read-only binds in two steps it may be the first one.
func TestPublishReadOnlyOverWritable(t *testing.T) {
	w := newWorld(t)
	target := w.target("p")
	must(t, w.Publish(t.Context(), publication(w.ext4, target, false)))
	want, write := volume.ErrConflict, error(nil)
	if !canSetAttr() {
		want, write = nil, unix.EROFS
	}
	wants(t, w.Publish(t.Context(), publication(w.ext4, target, true)), want)
	wants(t, os.WriteFile(filepath.Join(target, "x"), nil, 0o600), write)
	must(t, os.WriteFile(filepath.Join(w.ext4, "y"), nil, 0o600))
}

func TestUnpublishRemovesOnlyWhatIsEmpty(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		make func(path string) error
		want error
		left bool
	}{
		"nothing":   {func(string) error { return nil }, nil, false},
		"directory": {func(p string) error { return os.Mkdir(p, 0o700) }, nil, false},
		"file":      {func(p string) error { return os.WriteFile(p, nil, 0o600) }, nil, false},
		"full directory": {func(p string) error {
			return os.MkdirAll(filepath.Join(p, "data"), 0o700)
		}, volume.ErrInUse, true},
		"full file": {func(p string) error { return os.WriteFile(p, []byte("data"), 0o600) }, volume.ErrInUse, true},
		"link":      {func(p string) error { return os.Symlink(w.dir, p) }, volume.ErrInvalid, true},
		"fifo":      {func(p string) error { return unix.Mkfifo(p, 0o600) }, volume.ErrInUse, true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(w.dir, "un "+name)
			must(t, c.make(path))
			wants(t, w.Unpublish(t.Context(), path), c.want)
			if left := exists(path) == nil; left != c.left {
				t.Fatalf("left there: %t, want %t", left, c.left)
			}
		})
	}
}

// What a kill can leave, by what is there afterwards.
func TestHalfDoneStatesConverge(t *testing.T) {
	w := newWorld(t)
	stale := func(t *testing.T, target string) { must(t, os.MkdirAll(target, 0o750)) }
	bound := func(t *testing.T, target string) {
		stale(t, target)
		must(t, unix.Mount(w.ext4, target, "", unix.MS_BIND, ""))
	}
	for name, leave := range map[string]func(t *testing.T, target string){
		"nothing":       func(*testing.T, string) {},
		"parent":        func(t *testing.T, target string) { stale(t, filepath.Dir(target)) },
		"target":        stale,
		"bound":         bound,
		"mounted twice": func(t *testing.T, target string) { bound(t, target); bound(t, target) },
		"unmounted": func(t *testing.T, target string) {
			bound(t, target)
			must(t, unix.Unmount(target, 0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			target := w.target(name)
			leave(t, target)
			must(t, w.Unpublish(t.Context(), target))
			wants(t, exists(target), os.ErrNotExist)
			leave(t, target)
			must(t, w.Publish(t.Context(), publication(w.ext4, target, false)))
			wants(t, os.WriteFile(filepath.Join(target, "x"), nil, 0o600), nil)
			must(t, w.Unpublish(t.Context(), target))
			if n := mountsOn(t, target); n != 0 {
				t.Fatalf("%d mounts are left", n)
			}
		})
	}
}

func TestUnpublishOfABusyMount(t *testing.T) {
	w := newWorld(t)
	target := w.target("busy")
	must(t, w.Publish(t.Context(), publication(w.golden, target, true)))
	f, err := os.Open(filepath.Join(target, "model.h5"))
	must(t, err)
	wants(t, w.Unpublish(t.Context(), target), volume.ErrInUse)
	wantFile(t, filepath.Join(target, "model.h5"), w.model)
	must(t, f.Close())
	must(t, w.Unpublish(t.Context(), target))
}

func TestPublishManyAtOnce(t *testing.T) {
	w := newWorld(t)
	var all sync.WaitGroup
	errs := make(chan error, 400)
	for i := range 100 {
		target := w.target(string(rune('a' + i%20))) // each target five times
		for range 2 {
			all.Go(func() { errs <- w.Publish(t.Context(), publication(w.golden, target, true)) })
		}
	}
	all.Wait()
	close(errs)
	for err := range errs {
		must(t, err)
	}
	for i := range 20 {
		if n := mountsOn(t, w.target(string(rune('a'+i)))); n != 1 {
			t.Fatalf("%d mounts on one target, want 1", n)
		}
	}
	for i := range 20 {
		for range 2 {
			all.Go(func() { _ = w.Unpublish(t.Context(), w.target(string(rune('a'+i)))) })
		}
	}
	all.Wait()
	for i := range 20 {
		wants(t, exists(w.target(string(rune('a'+i)))), os.ErrNotExist)
	}
}

func TestPublishBlock(t *testing.T) {
	h, dir := NewHost(), scratch(t)
	ctx := t.Context()
	for name, c := range map[string]struct {
		flags            uint32
		staged, readOnly bool
		stage, publish   error
	}{
		"writable":                       {},
		"read-only":                      {flags: unix.LO_FLAGS_READ_ONLY, staged: true, readOnly: true},
		"read-only of a writable":        {readOnly: true, publish: volume.ErrInUse},
		"staged read-only of a writable": {staged: true, stage: volume.ErrInUse},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLoop(t, 8<<20, c.flags)
			staging, target := filepath.Join(dir, "s "+name), filepath.Join(dir, "t "+name, "pod")
			node := filepath.Join(staging, volume.StagedDevice)
			for range 2 {
				wants(t, h.BindDevice(ctx, l.path, node, c.staged), c.stage)
			}
			if c.stage != nil {
				return
			}
			p := volume.Publication{Staging: staging, Target: target, Block: true, ReadOnly: c.readOnly}
			for range 2 {
				wants(t, h.Publish(ctx, p), c.publish)
			}
			if c.publish == nil {
				useNode(t, h, l.path, target, c.readOnly)
			}
			must(t, h.Unpublish(ctx, target))
			wants(t, exists(target), os.ErrNotExist)
			must(t, h.Unmount(ctx, node))
			wants(t, exists(node), os.ErrNotExist)
		})
	}
}

func useNode(t *testing.T, h *Host, device, target string, readOnly bool) {
	t.Helper()
	users, err := h.Users(t.Context(), device)
	must(t, err)
	if users != 2 {
		t.Fatalf("%d users of the device, want 2", users)
	}
	m, err := h.Mounted(t.Context(), target)
	must(t, err)
	if want := (volume.Mount{Device: device, ReadOnly: readOnly}); m != want {
		t.Fatalf("mounted %+v, want %+v", m, want)
	}
	f, err := os.OpenFile(target, os.O_RDWR, 0)
	if err == nil {
		_, err = f.Write([]byte("data"))
		must(t, errors.Join(f.Close()))
	}
	if (err != nil) != readOnly {
		t.Fatalf("write to the device, read-only %t: %v", readOnly, err)
	}
}
