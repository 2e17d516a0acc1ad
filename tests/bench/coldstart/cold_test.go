//go:build bench

package coldstart

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/tests/cluster"
)

// chill makes the node as if it had never run functions of one way: no pod, no
// mapping or mount of a golden, no page cache, and of their images only what
// kept says. What is a storage network's own, and would be warm there in its
// machines' memory, is warmed again: the registry's and the file server's
// files. Ceph's OSD reads its disk past the page cache, so Ceph has no such
// favour.
func (s *stand) chill(t *testing.T, p platform, kept bool, then store, functions ...function) {
	t.Helper()
	p.idle(t, functions...)
	s.forget(t, slices.DeleteFunc(s.settings.images(), func(name string) bool { return kept && strings.HasSuffix(name, ":apart") }))
	s.settled(t, then)
	noGolden(t)
	unix.Sync()
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
		t.Fatal(err)
	}
	warmStorage(t, functions[0])
}

// noGolden waits until the driver has let its goldens go.
func noGolden(t *testing.T) {
	t.Helper()
	cluster.Eventually(t, "the goldens' linger", func() error {
		if mounts := goldens(t); len(mounts) > 0 {
			return fmt.Errorf("%w: there are %v", cluster.ErrNotYet, mounts)
		}
		return nil
	})
}

// goldens lists the mounts of goldens, of both kinds, and the devices below.
func goldens(t testing.TB) (mounts []string) {
	t.Helper()
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		if point := strings.Fields(line)[4]; strings.HasPrefix(point, "/run/sdp-csi/") {
			mounts = append(mounts, point)
		}
	}
	return mounts
}

// warmStorage reads what the function's servers serve of files.
func warmStorage(t *testing.T, f function) {
	t.Helper()
	read(t, filepath.Join(f.model.dir, "registry"))
	if f.class == "" && f.tag == "apart" {
		read(t, filepath.Join(f.model.dir, "model"))
	}
}

// read reads all files below a directory.
func read(t testing.TB, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		// Without WriterTo, which would have the kernel move it unread.
		_, err = io.Copy(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
