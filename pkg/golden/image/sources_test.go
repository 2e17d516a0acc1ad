package image

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

func quiet(int64) {}

// digest makes an image of the source and returns the sum of its bytes.
func digest(t *testing.T, fsType string, s Source) string {
	t.Helper()
	scratch := NewScratch(t.TempDir())
	sum := sha256.New()
	writeImage(t, fsType, s, scratch, sum)
	return hex.EncodeToString(sum.Sum(nil))
}

func writeImage(t *testing.T, fsType string, s Source, scratch *Scratch, to io.Writer) {
	t.Helper()
	tree, err := Open(context.Background(), s, scratch, quiet)
	if err != nil {
		t.Fatal(err)
	}
	img, err := New(context.Background(), fsType, tree, scratch)
	if err != nil {
		t.Fatal(err)
	}
	r, err := img.Reader()
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(to, r)
	if err != nil || n != img.Size || n%4096 != 0 {
		t.Fatalf("read %d of %d bytes: %v", n, img.Size, err)
	}
	for _, close := range []func() error{r.Close, tree.Close, scratch.Close} {
		if err := close(); err != nil {
			t.Error(err)
		}
	}
}

// imageFile makes an image of the source in a file.
func imageFile(t *testing.T, fsType string, s Source) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	writeImage(t, fsType, s, NewScratch(t.TempDir()), f)
	return f.Name()
}

// extract returns what fsck.erofs finds in an image, which it checks first.
func extract(t *testing.T, image string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	out, err := exec.Command("fsck.erofs", "--extract="+dir, image).CombinedOutput()
	if err != nil {
		t.Fatalf("fsck.erofs: %v: %s", err, out)
	}
	return dir
}

// listing describes all below a directory, one line for each name.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		line := path[len(dir):] + " " + info.Mode().String()
		switch {
		case d.Type() == os.ModeSymlink:
			target, _ := os.Readlink(path)
			line += " -> " + target
		case d.Type().IsRegular():
			data, _ := os.ReadFile(path)
			sum := sha256.Sum256(data)
			line += " " + hex.EncodeToString(sum[:8])
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// write makes a file with its directories.
func write(t *testing.T, path string, data []byte, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// sample makes a directory with all that a golden can have. Names are made in
// the order that step gives, so that two samples differ in that only.
func sample(t *testing.T, backwards bool) string {
	t.Helper()
	dir := t.TempDir()
	var made []func()
	file := func(name string, size int, mode os.FileMode) {
		made = append(made, func() {
			write(t, filepath.Join(dir, name), bytes.Repeat([]byte(name), size/len(name)+1)[:size], mode)
		})
	}
	for _, size := range []int{0, 1, 4095, 4096, 4097, 20050, 5 << 20} {
		file("sizes/"+strings.Repeat("n", size%100+1), size, 0o600)
	}
	for n := range 300 {
		file("many/"+strings.Repeat("x", n%200)+string(rune('a'+n%26))+strings.Repeat("y", n/26), n, 0o644)
	}
	file("run me", 10, 0o755)
	file(`odd/<2> "quoted" ünïcode\`, 7, 0o644)
	made = append(made, func() { os.Mkdir(filepath.Join(dir, "hollow"), 0o700) })
	made = append(made, func() {
		os.MkdirAll(filepath.Join(dir, "odd"), 0o755)
		os.Symlink("../sizes/n", filepath.Join(dir, "odd", "link"))
	})
	for n := range made {
		if backwards {
			n = len(made) - 1 - n
		}
		made[n]()
	}
	return dir
}

// tarOf packs entries; the content is as long as the header says.
func tarOf(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		w.Write(bytes.Repeat([]byte("c"), int(h.Size)))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
