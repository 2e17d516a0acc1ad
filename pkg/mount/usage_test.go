package mount

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestUsage(t *testing.T) {
	w := newWorld(t)
	l := newLoop(t, 8<<20, 0)
	must(t, w.BindDevice(t.Context(), l.path, w.dir+"/block/device", false))
	for name, c := range map[string]struct {
		path  string
		check func(volume.Usage) bool
	}{
		"golden": {w.golden, func(u volume.Usage) bool {
			return u.Total > 0 && u.Used == u.Total && u.Available == 0 && u.Inodes == 0 && u.InodesFree == 0 && !u.Block
		}},
		"ext4": {w.ext4, func(u volume.Usage) bool {
			return u.Total > 16<<20 && u.Used > 0 && u.Available > 0 && u.Used+u.Available <= u.Total && u.Inodes > 0 && u.InodesUsed+u.InodesFree == u.Inodes
		}},
		"block":               {w.dir + "/block/device", func(u volume.Usage) bool { return u == volume.Usage{Block: true, Total: 8 << 20} }},
		"block, by directory": {w.dir + "/block", func(u volume.Usage) bool { return u == volume.Usage{Block: true, Total: 8 << 20} }},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := w.Usage(t.Context(), c.path)
			must(t, err)
			if !c.check(u) {
				t.Fatalf("got %+v", u)
			}
		})
	}
	for _, path := range []string{w.dir + "/none", w.dir + "/staging"} {
		_, err := w.Usage(t.Context(), path)
		wants(t, err, volume.ErrNotFound)
	}
}

func TestUsageOf(t *testing.T) {
	minusThree := uint64(math.MaxUint64 - 2)
	for name, c := range map[string]struct {
		st   unix.Statfs_t
		want volume.Usage
	}{
		"erofs": {
			unix.Statfs_t{Bsize: 4096, Frsize: 4096, Blocks: 10, Files: math.MaxUint64, Ffree: minusThree},
			volume.Usage{Total: 40960, Used: 40960},
		},
		"no fragments":      {unix.Statfs_t{Bsize: 512, Blocks: 10, Bfree: 4, Bavail: 3}, volume.Usage{Total: 5120, Used: 3072, Available: 1536}},
		"more free than is": {unix.Statfs_t{Bsize: 1, Blocks: 10, Bfree: 20, Files: 3, Ffree: 5}, volume.Usage{Total: 10, Inodes: 3, InodesFree: 3}},
		"negative":          {unix.Statfs_t{Bsize: 4096, Blocks: 10, Bfree: minusThree, Bavail: minusThree}, volume.Usage{Total: 40960, Used: 40960}},
		"too many":          {unix.Statfs_t{Bsize: 4096, Blocks: math.MaxUint64}, volume.Usage{}},
		"nothing":           {unix.Statfs_t{}, volume.Usage{}},
	} {
		t.Run(name, func(t *testing.T) {
			if have := usageOf(c.st); have != c.want {
				t.Fatalf("got %+v, want %+v", have, c.want)
			}
		})
	}
}

// mute mounts a FUSE file system whose server never answers, until it is
// closed.
func mute(t *testing.T, path string) *os.File {
	t.Helper()
	fuse, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	must(t, err)
	must(t, os.MkdirAll(path, 0o755))
	must(t, unix.Mount("mute", path, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fuse.Fd())))
	return fuse
}

// A file system that does not answer holds up nothing but its own answer, and
// one goroutine, however often it is asked.
func TestUsageOfAHungFileSystem(t *testing.T) {
	w := newWorld(t)
	path := w.dir + "/mute"
	fuse := mute(t, path)
	must(t, w.Publish(t.Context(), publication(path, w.target("p"), true)))
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			_, err := w.Usage(ctx, []string{path, w.target("p")}[i%2])
			if err == nil || ctx.Err() == nil {
				t.Errorf("got error %v", err)
			}
		})
	}
	all.Wait()
	eventually(t, "a thread waits for the file system", func() bool { return inStatfs(t) > 0 })
	if n := inStatfs(t); n != 1 {
		t.Errorf("%d threads wait for the file system, want 1", n)
	}
	if _, err := w.Usage(t.Context(), w.ext4); err != nil {
		t.Errorf("another volume: %v", err)
	}
	dead, err := w.isDeadWithin(t.Context(), path, 10*time.Millisecond)
	if wants(t, err, volume.ErrUnavailable); dead {
		t.Error("one that does not answer as yet is dead")
	}
	must(t, fuse.Close())
	_, err = w.Usage(t.Context(), path)
	wants(t, err, volume.ErrUnavailable)
	if dead, err = w.IsDead(t.Context(), path); err != nil || !dead {
		t.Errorf("one whose server has ended: dead %t, %v", dead, err)
	}
	must(t, w.Unpublish(t.Context(), w.target("p")))
	must(t, w.Unmount(t.Context(), path))
}

// inStatfs returns how many of this process's threads are in statfs.
func inStatfs(t *testing.T) (n int) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/syscall")
	must(t, err)
	for _, f := range files {
		text, _ := os.ReadFile(f) // a thread may have ended
		var number int
		if _, err := fmt.Sscan(string(text), &number); err == nil && number == unix.SYS_STATFS {
			n++
		}
	}
	return n
}
