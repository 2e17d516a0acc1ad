package mount

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// TestIsClean looks at copies of a device, taken while it was mounted and
// after: what a snapshot is.
func TestIsClean(t *testing.T) {
	for _, fsType := range []string{ext4, xfs} {
		t.Run(fsType, func(t *testing.T) {
			h, l, dir := NewHost(), formatted(t, fsType, 320<<20), scratch(t)
			must(t, h.Mount(t.Context(), l.path, dir+"/rw", fsType, false, nil))
			must(t, os.WriteFile(dir+"/rw/file", []byte("durable"), 0o600))
			syncFiles(t, dir+"/rw/file")
			dirty := copyOf(t, l.path)
			must(t, h.Unmount(t.Context(), dir+"/rw"))
			clean := copyOf(t, l.path)
			for file, want := range map[*os.File]bool{dirty: false, clean: true} {
				ro := attachLoop(t, file, unix.LO_FLAGS_READ_ONLY)
				got, err := h.IsClean(t.Context(), ro.path, dir+"/look", fsType)
				if err != nil || got != want {
					t.Errorf("clean is %t, %v; want %t", got, err, want)
				}
				if err := exists(dir + "/look"); err == nil {
					t.Error("the place to look stays")
				}
			}
			rw := attachLoop(t, dirty, 0)
			_, err := h.IsClean(t.Context(), rw.path, dir+"/look", fsType)
			wants(t, err, volume.ErrInUse)
			must(t, h.Mount(t.Context(), rw.path, dir+"/replay", fsType, false, nil))
			wantFile(t, dir+"/replay/file", []byte("durable"))
			must(t, h.Unmount(t.Context(), dir+"/replay"))
		})
	}
}

// copyOf copies what is on a device now, as a snapshot does.
func copyOf(t *testing.T, device string) *os.File {
	t.Helper()
	from, err := os.Open(device)
	must(t, err)
	defer from.Close()
	to, err := os.Create(filepath.Join(t.TempDir(), "copy"))
	must(t, err)
	t.Cleanup(func() { to.Close() })
	_, err = io.Copy(to, from)
	must(t, err)
	return to
}
