package mount

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// How files are read into the page cache.
const (
	// prefetchers keep as many objects of a striped image in flight.
	prefetchers = 8
	// prefetchPiece is an RBD object.
	prefetchPiece = 4 << 20
	// prefetchStep is a request of the block layer: its last byte comes with
	// the whole of it.
	prefetchStep = 256 << 10
	// prefetchHead is what of each file holds its header, for metadata.
	prefetchHead = 64 << 10
	// memoryReserve is the part of the memory that stays available.
	memoryReserve = 10
)

// Prefetch reads the files below dir into the page cache: their beginnings,
// or all of them in parallel. It ends early, without an error, when the node's
// memory gets short, and it tells read each time how much more it has read.
func (h *Host) Prefetch(ctx context.Context, dir string, whole bool, read func(bytes int64)) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(prefetchers)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		return prefetchFile(ctx, group, path, whole, read)
	})
	err = errors.Join(group.Wait(), err)
	switch {
	case errors.Is(err, errShort):
		return nil
	case err != nil:
		return fmt.Errorf("prefetch %s: %w: %w", dir, err, volume.ErrUnavailable)
	}
	return nil
}

// errShort ends a prefetch for want of memory.
var errShort = errors.New("the node's memory is short")

// prefetchFile gives the pieces of a file to the group.
func prefetchFile(ctx context.Context, group *errgroup.Group, path string, whole bool, read func(int64)) error {
	st, err := os.Lstat(path)
	if err != nil {
		return err
	}
	end := st.Size()
	if !whole {
		end = min(end, prefetchHead)
	}
	for at := int64(0); at < end; at += prefetchPiece {
		if err := goOn(ctx); err != nil {
			return err
		}
		group.Go(func() error {
			n, err := readPiece(path, at, min(prefetchPiece, end-at))
			read(n)
			return err
		})
	}
	return nil
}

// goOn says why a prefetch should end now.
func goOn(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	total, available, err := memory()
	if err == nil && available < total/memoryReserve {
		return errShort
	}
	return err
}

// readPiece lets the kernel read ahead, which copies nothing to this process,
// and waits for it by reading a byte here and there.
func readPiece(path string, at, length int64) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	// One call is not enough: the kernel takes no more of it than the file
	// system's read-ahead.
	for part := at; part < at+length; part += prefetchStep {
		if err := unix.Fadvise(int(f.Fd()), part, min(prefetchStep, at+length-part), unix.FADV_WILLNEED); err != nil {
			return 0, err
		}
	}
	probe := make([]byte, 1)
	for end := at + min(prefetchStep, length); ; end = min(end+prefetchStep, at+length) {
		if _, err := f.ReadAt(probe, end-1); err != nil {
			return 0, err
		}
		if end == at+length {
			return length, nil
		}
	}
}

// memory returns the node's memory, and what of it could be had, in bytes
// (proc_meminfo(5)).
func memory() (total, available int64, err error) {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, 0, err
	}
	for line := range bytes.Lines(data) {
		words := strings.Fields(string(line))
		if len(words) < 2 {
			continue
		}
		kib, _ := strconv.ParseInt(words[1], 10, 64)
		switch words[0] {
		case "MemTotal:":
			total = kib << 10
		case "MemAvailable:":
			available = kib << 10
		}
	}
	return total, available, nil
}

// Cached returns how many bytes of the files below dir are in the page cache.
func (h *Host) Cached(ctx context.Context, dir string) (bytes int64, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := cachedOf(path)
		bytes += n
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("look for cached pages below %s: %w: %w", dir, err, volume.ErrUnavailable)
	}
	return bytes, nil
}

// cachedOf asks cachestat(2), which Linux has since 6.5.
func cachedOf(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var found unix.Cachestat_t
	if err := unix.Cachestat(uint(f.Fd()), &unix.CachestatRange{}, &found, 0); err != nil {
		return 0, err
	}
	return int64(found.Cache) * int64(os.Getpagesize()), nil
}
