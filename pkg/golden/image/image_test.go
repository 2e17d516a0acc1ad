package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func TestEROFSHoldsTheTree(t *testing.T) {
	dir := sample(t, false)
	got := listing(t, extract(t, imageFile(t, EROFS, Source{Path: dir, Preserve: true})))
	if want := listing(t, dir); got != want {
		t.Errorf("the image has\n%s\nwant\n%s", got, want)
	}
}

func TestEROFSIsReadableByAll(t *testing.T) {
	got := listing(t, extract(t, imageFile(t, EROFS, Source{Path: sample(t, false)})))
	for line := range strings.Lines(got) {
		if !strings.Contains(line, " Lrwx") && !strings.Contains(line, "r-xr-x ") &&
			!strings.Contains(line, "rw-r--r-- ") && !strings.HasSuffix(strings.TrimSpace(line), "rwxr-xr-x") {
			t.Errorf("not everybody can read %s", line)
		}
	}
}

func TestOneFileKeepsItsName(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "blobs", "1f"), []byte("weights"), 0o600)
	link := filepath.Join(dir, "model.h5")
	if err := os.Symlink("blobs/1f", link); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(extract(t, imageFile(t, EROFS, Source{Path: link})), "model.h5"))
	if err != nil || string(got) != "weights" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestEqualInputGivesEqualDigests(t *testing.T) {
	for _, fsType := range []string{EROFS, Ext4} {
		t.Run(fsType, func(t *testing.T) {
			a, b := digest(t, fsType, Source{Path: sample(t, false)}), digest(t, fsType, Source{Path: sample(t, true)})
			if a != b {
				t.Errorf("%s and %s", a, b)
			}
		})
	}
}

// TestDigestIsForEver holds the layout: a change would make every import that
// is repeated after an upgrade a conflict.
func TestDigestIsForEver(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a", "b"), []byte("content"), 0o644)
	const want = "a9a11a960c8086fc92a904923c251e42bbd86a12bacd57324b3818ab598b1a17"
	if got := digest(t, EROFS, Source{Path: dir}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestExt4HoldsTheTree(t *testing.T) {
	image := imageFile(t, Ext4, Source{Path: sample(t, false)})
	if out, err := exec.Command("/sbin/e2fsck", "-fn", image).CombinedOutput(); err != nil {
		t.Fatalf("e2fsck: %v: %s", err, out)
	}
	dir := t.TempDir()
	if out, err := exec.Command("/sbin/debugfs", "-R", `rdump / `+dir, image).CombinedOutput(); err != nil {
		t.Fatalf("debugfs: %v: %s", err, out)
	}
	plain := extract(t, imageFile(t, EROFS, Source{Path: sample(t, false)}))
	if got, want := listing(t, dir), listing(t, plain); got != want {
		t.Errorf("ext4 has\n%s\nEROFS\n%s", got, want)
	}
}

func TestTarEqualsDirectory(t *testing.T) {
	dir := sample(t, false)
	packed := filepath.Join(t.TempDir(), "sample.tar")
	if out, err := exec.Command("tar", "-C", dir, "-cf", packed, ".").CombinedOutput(); err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
	data, err := os.ReadFile(packed)
	if err != nil {
		t.Fatal(err)
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(data)
	z.Close()
	compressed := filepath.Join(t.TempDir(), "sample.tgz")
	write(t, compressed, zipped.Bytes(), 0o644)
	sources := map[string]Source{
		"tar file":          {Path: packed},
		"compressed file":   {Path: compressed},
		"stream":            {Path: Stdin, Input: bytes.NewReader(data)},
		"compressed stream": {Path: Stdin, Input: &zipped},
	}
	want := digest(t, EROFS, Source{Path: dir})
	for name, s := range sources {
		t.Run(name, func(t *testing.T) {
			if got := digest(t, EROFS, s); got != want {
				t.Errorf("got %s, the directory %s", got, want)
			}
		})
	}
}

func TestHostileTars(t *testing.T) {
	file := func(name string) tar.Header {
		return tar.Header{Name: name, Typeflag: tar.TypeReg, Size: 3, Mode: 0o644}
	}
	link := func(kind byte, name, target string) tar.Header {
		return tar.Header{Name: name, Typeflag: kind, Linkname: target}
	}
	cases := map[string]struct {
		tar  []byte
		want error
	}{
		"up":                        {tarOf(t, file("../x")), volume.ErrInvalid},
		"up in the middle":          {tarOf(t, file("a/../../x")), volume.ErrInvalid},
		"absolute":                  {tarOf(t, file("/etc/passwd")), volume.ErrInvalid},
		"long name":                 {tarOf(t, file(strings.Repeat("n", 256))), volume.ErrInvalid},
		"long path":                 {tarOf(t, file(strings.Repeat("n/", 2050)+"x")), volume.ErrInvalid},
		"symlink out":               {tarOf(t, link(tar.TypeSymlink, "a/b", "../../x")), volume.ErrInvalid},
		"absolute symlink":          {tarOf(t, link(tar.TypeSymlink, "a", "/etc")), volume.ErrInvalid},
		"empty symlink":             {tarOf(t, link(tar.TypeSymlink, "a", "")), volume.ErrInvalid},
		"through a symlink":         {tarOf(t, link(tar.TypeSymlink, "a", "b"), file("a/x")), volume.ErrInvalid},
		"hard link out":             {tarOf(t, link(tar.TypeLink, "a", "../../etc/passwd")), volume.ErrInvalid},
		"hard link to nothing":      {tarOf(t, link(tar.TypeLink, "a", "b")), volume.ErrInvalid},
		"hard link to a symlink":    {tarOf(t, link(tar.TypeSymlink, "a", "b"), link(tar.TypeLink, "c", "a")), volume.ErrInvalid},
		"hard link to a directory":  {tarOf(t, link(tar.TypeDir, "a/", ""), link(tar.TypeLink, "c", "a")), volume.ErrInvalid},
		"character device":          {tarOf(t, link(tar.TypeChar, "a", "")), volume.ErrInvalid},
		"block device":              {tarOf(t, link(tar.TypeBlock, "a", "")), volume.ErrInvalid},
		"pipe":                      {tarOf(t, link(tar.TypeFifo, "a", "")), volume.ErrInvalid},
		"file over a directory":     {tarOf(t, file("a/b"), file("a")), volume.ErrInvalid},
		"directory over a file":     {tarOf(t, file("a"), link(tar.TypeDir, "a/", "")), volume.ErrInvalid},
		"file below a file":         {tarOf(t, file("a"), file("a/b")), volume.ErrInvalid},
		"empty":                     {tarOf(t), volume.ErrInvalid},
		"no tar":                    {bytes.Repeat([]byte("no tar "), 200), volume.ErrInvalid},
		"cut off":                   {tarOf(t, file("a"))[:514], volume.ErrInvalid},
		"nothing":                   {nil, volume.ErrInvalid},
		"gzip of nothing":           {[]byte{0x1f, 0x8b}, volume.ErrInvalid},
		"larger than all disks":     {hugeTar(t), volume.ErrNoSpace},
		"sparse and larger than it": {sparseTar(t), volume.ErrInvalid},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			tree, err := Open(context.Background(), Source{Path: Stdin, Input: bytes.NewReader(tt.tar)}, NewScratch(t.TempDir()), quiet)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, %v, want %v", tree, err, tt.want)
			}
		})
	}
}

// hugeTar claims a file of an exabyte.
func hugeTar(t *testing.T) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: "huge", Typeflag: tar.TypeReg, Size: 1 << 60, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// sparseTar has a file in the sparse format of PAX 1.0, which GNU tar writes.
func sparseTar(t *testing.T) []byte {
	dir := t.TempDir()
	f := filepath.Join(dir, "holes")
	write(t, f, nil, 0o644)
	if err := os.Truncate(f, 1<<40); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("tar", "-C", dir, "--sparse", "--format=posix", "-cf", "-", "holes").Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLaterTarEntriesWin(t *testing.T) {
	twice := tarOf(t, tar.Header{Name: "a", Typeflag: tar.TypeReg, Size: 5, Mode: 0o644}, tar.Header{Name: "./a", Typeflag: tar.TypeReg, Size: 2, Mode: 0o755})
	once := tarOf(t, tar.Header{Name: "a", Typeflag: tar.TypeReg, Size: 2, Mode: 0o700})
	a, b := digest(t, EROFS, Source{Path: Stdin, Input: bytes.NewReader(twice)}), digest(t, EROFS, Source{Path: Stdin, Input: bytes.NewReader(once)})
	if a != b {
		t.Errorf("%s and %s", a, b)
	}
}

func TestRefusedSources(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "out", "a"), nil, 0o644)
	os.Symlink("/etc", filepath.Join(dir, "out", "b"))
	os.MkdirAll(filepath.Join(dir, "socket"), 0o755)
	if out, err := exec.Command("mkfifo", filepath.Join(dir, "socket", "p")).CombinedOutput(); err != nil {
		t.Fatal(string(out))
	}
	cases := map[string]struct {
		path string
		want error
	}{
		"missing":         {filepath.Join(dir, "missing"), volume.ErrNotFound},
		"link out":        {filepath.Join(dir, "out"), volume.ErrInvalid},
		"pipe inside":     {filepath.Join(dir, "socket"), volume.ErrInvalid},
		"pipe itself":     {filepath.Join(dir, "socket", "p"), volume.ErrInvalid},
		"tar that is not": {writeTo(t, filepath.Join(dir, "x.tar"), "no tar"), volume.ErrInvalid},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Open(context.Background(), Source{Path: tt.path}, NewScratch(t.TempDir()), quiet)
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func writeTo(t *testing.T, path, text string) string {
	write(t, path, []byte(text), 0o644)
	return path
}

func TestSourceThatChangesIsRefused(t *testing.T) {
	change := map[string]func(path string) error{
		"longer":   func(path string) error { return os.WriteFile(path, make([]byte, 20), 0o644) },
		"shorter":  func(path string) error { return os.WriteFile(path, nil, 0o644) },
		"newer":    func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(1, 0)) },
		"replaced": func(path string) error { return os.Rename(writeTo(t, path+".new", "0123456789"), path) },
	}
	for name, change := range change {
		t.Run(name, func(t *testing.T) {
			path := writeTo(t, filepath.Join(t.TempDir(), "f"), "0123456789")
			tree, err := Open(context.Background(), Source{Path: path}, NewScratch(t.TempDir()), quiet)
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			img, err := New(context.Background(), EROFS, tree, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			r, _ := img.Reader()
			if _, err := io.Copy(io.Discard, r); !errors.Is(err, volume.ErrConflict) {
				t.Errorf("got %v, want a conflict", err)
			}
		})
	}
}

// A file that ends where the reader's buffer does is watched no less: here,
// with a size of whole blocks, at the end of the image.
func TestSourceThatChangesIsRefusedAtABuffersEnd(t *testing.T) {
	path := writeTo(t, filepath.Join(t.TempDir(), "f"), strings.Repeat("x", erofsBlock))
	tree, err := Open(context.Background(), Source{Path: path}, NewScratch(t.TempDir()), quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	img, err := New(context.Background(), EROFS, tree, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := img.Reader()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	// One byte of the file opens it; it changes after that.
	if _, err := io.CopyN(io.Discard, r, img.Size-erofsBlock+1); err != nil {
		t.Fatal(err)
	}
	write(t, path, make([]byte, erofsBlock+1), 0o644)
	if _, err := io.ReadFull(r, make([]byte, erofsBlock-1)); !errors.Is(err, volume.ErrConflict) {
		t.Errorf("got %v, want a conflict", err)
	}
}

func TestScratchOfDeadProcessesIsSwept(t *testing.T) {
	parent := t.TempDir()
	dead, alive := filepath.Join(parent, "sdp-import-1"), NewScratch(parent)
	write(t, filepath.Join(dead, "image"), nil, 0o644)
	kept, err := alive.path("x")
	if err != nil {
		t.Fatal(err)
	}
	other := NewScratch(parent)
	if _, err := other.path("x"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dead, err)
	}
	if _, err := os.Stat(filepath.Dir(kept)); err != nil {
		t.Errorf("the scratch of a living import is gone: %v", err)
	}
	alive.Close()
	other.Close()
	if left, _ := os.ReadDir(parent); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestExt4RefusesControlCharacters(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a\nquit"), nil, 0o644)
	scratch := NewScratch(t.TempDir())
	defer scratch.Close()
	tree, err := Open(context.Background(), Source{Path: dir}, scratch, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if _, err := New(context.Background(), Ext4, tree, scratch); !errors.Is(err, volume.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

func FuzzTar(f *testing.F) {
	f.Add(tarOf(f, tar.Header{Name: "a/b", Typeflag: tar.TypeReg, Size: 3, Mode: 0o644}))
	f.Add(tarOf(f, tar.Header{Name: "../a", Typeflag: tar.TypeReg}))
	f.Add(tarOf(f, tar.Header{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "b"}, tar.Header{Name: "a/c", Typeflag: tar.TypeReg}))
	f.Add(tarOf(f, tar.Header{Name: "a", Typeflag: tar.TypeReg, Size: 1}, tar.Header{Name: "b", Typeflag: tar.TypeLink, Linkname: "a"}))
	f.Add([]byte{0x1f, 0x8b, 8})
	f.Fuzz(func(t *testing.T, data []byte) {
		scratch := NewScratch(t.TempDir())
		defer scratch.Close()
		tree, err := Open(context.Background(), Source{Path: Stdin, Input: bytes.NewReader(data)}, scratch, quiet)
		if err != nil {
			return
		}
		defer tree.Close()
		checkTree(t, tree)
		img, err := New(context.Background(), EROFS, tree, scratch)
		if err != nil {
			t.Fatal(err)
		}
		r, _ := img.Reader()
		if n, err := io.Copy(io.Discard, r); err != nil || n != img.Size {
			t.Fatalf("read %d of %d bytes: %v", n, img.Size, err)
		}
	})
}

// checkTree holds every tree to what an image can have.
func checkTree(t *testing.T, tree *Tree) {
	tree.walk(func(n *node) {
		for _, e := range n.entries {
			if checkName(e.name, e.name) != nil {
				t.Errorf("name %q", e.name)
			}
			if e.node.kind == symlink && strings.HasPrefix(e.node.target, "/") {
				t.Errorf("link %q to %q", e.name, e.node.target)
			}
		}
	})
}
