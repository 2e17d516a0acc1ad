package fake

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/golden"
	source "github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

var (
	_ golden.Store = (*FileSystem)(nil)
	_ golden.Trees = (*FileSystem)(nil)
)

// recordName keeps this backend's records apart from the other one's, but for
// goldens, whose names all backends share.
func recordName(name string) string {
	if strings.HasPrefix(name, "golden.") {
		return name
	}
	return "fs." + name
}

// CreateRecord is Ceph's.
func (f *FileSystem) CreateRecord(ctx context.Context, at tenant.Place, name string, data []byte) error {
	return f.Ceph.CreateRecord(ctx, at, recordName(name), data)
}

// ReadRecord is Ceph's.
func (f *FileSystem) ReadRecord(ctx context.Context, at tenant.Place, name string) ([]byte, error) {
	return f.Ceph.ReadRecord(ctx, at, recordName(name))
}

// SwapRecord is Ceph's.
func (f *FileSystem) SwapRecord(ctx context.Context, at tenant.Place, name string, old, data []byte) error {
	return f.Ceph.SwapRecord(ctx, at, recordName(name), old, data)
}

// RemoveRecord is Ceph's.
func (f *FileSystem) RemoveRecord(ctx context.Context, at tenant.Place, name string) error {
	return f.Ceph.RemoveRecord(ctx, at, recordName(name))
}

// DropRecord is Ceph's.
func (f *FileSystem) DropRecord(ctx context.Context, at tenant.Place, name string, old []byte) error {
	return f.Ceph.DropRecord(ctx, at, recordName(name), old)
}

// ListRecords is Ceph's.
func (f *FileSystem) ListRecords(ctx context.Context, at tenant.Place, prefix, after string, limit int) ([]string, error) {
	names, err := f.Ceph.ListRecords(ctx, at, recordName(prefix), recordName(after), limit)
	for i, name := range names {
		names[i] = strings.TrimPrefix(name, "fs.")
	}
	return names, err
}

// LockRecord is Ceph's.
func (f *FileSystem) LockRecord(ctx context.Context, at tenant.Place, name string) (func(), error) {
	return f.Ceph.LockRecord(ctx, at, recordName(name))
}

// CreateImage makes a golden's subvolume.
func (f *FileSystem) CreateImage(ctx context.Context, at tenant.Place, name string, size int64) error {
	_, err := f.CreateSubvolume(ctx, at, name, size)
	return err
}

// RemoveImage removes it.
func (f *FileSystem) RemoveImage(ctx context.Context, at tenant.Place, name string) error {
	return f.RemoveSubvolume(ctx, at, name)
}

// OpenImage opens nothing: it is no image.
func (f *FileSystem) OpenImage(context.Context, tenant.Place, string) (golden.Image, error) {
	return nil, fmt.Errorf("a subvolume is no image: %w", volume.ErrInvalid)
}

// ImageID returns the directory of the content.
func (f *FileSystem) ImageID(ctx context.Context, at tenant.Place, name string) (string, error) {
	return get(ctx, f.Faults, "ImageID", name, func() (string, error) {
		s, err := f.subvolume(fullName(at, name))
		if err != nil {
			return "", err
		}
		return s.directory, nil
	})
}

// SnapshotID returns no number: snapshots are told by their names.
func (f *FileSystem) SnapshotID(context.Context, tenant.Place, string, string) (uint64, error) {
	return 0, nil
}

// Children counts the holders.
func (f *FileSystem) Children(ctx context.Context, at tenant.Place, name, snapshot string) (int, error) {
	return get(ctx, f.Faults, "Children", name+"@"+snapshot, func() (int, error) {
		return len(f.references[fullName(at, name)+"@"+snapshot]), nil
	})
}

// OpenDirectory opens a golden's content: its files, and a word made of them.
func (f *FileSystem) OpenDirectory(ctx context.Context, at tenant.Place, name string) (golden.Directory, error) {
	if _, err := f.ImageID(ctx, at, name); err != nil {
		return nil, err
	}
	return &directory{files: f, at: at, name: name}, nil
}

// stored is an entry of a directory.
type stored struct {
	source.Entry
	content string
}

// directory is an open subvolume.
type directory struct {
	files *FileSystem
	at    tenant.Place
	name  string
}

// Make implements golden.Directory.
func (d *directory) Make(e source.Entry) error { return d.put(stored{Entry: e}) }

// Write implements golden.Directory.
func (d *directory) Write(e source.Entry, content io.Reader) error {
	data, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	return d.put(stored{Entry: e, content: string(data)})
}

func (d *directory) put(one stored) error {
	return d.files.do(context.Background(), "Write", d.name, func() error {
		s, err := d.files.subvolume(fullName(d.at, d.name))
		if err != nil {
			return err
		}
		if s.files == nil {
			s.files = map[string]stored{}
		}
		s.files[one.Path] = one
		return nil
	})
}

// Entries implements golden.Directory.
func (d *directory) Entries(visit func(source.Entry) error) error {
	var all []stored
	err := d.files.do(context.Background(), "Entries", d.name, func() error {
		s, err := d.files.subvolume(fullName(d.at, d.name))
		if err != nil {
			return err
		}
		all = slices.SortedFunc(maps.Values(s.files), func(a, b stored) int {
			return slices.Compare(strings.Split(a.Path, "/"), strings.Split(b.Path, "/"))
		})
		return nil
	})
	for i := 0; i < len(all) && err == nil; i++ {
		one := all[i]
		err = visit(one.With(func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(one.content)), nil }))
	}
	return err
}

// Close gives the subvolume the word of what is in it.
func (d *directory) Close() error {
	return d.files.do(context.Background(), "CloseDirectory", d.name, func() error {
		s, err := d.files.subvolume(fullName(d.at, d.name))
		if err != nil {
			return err
		}
		s.content = ""
		for _, path := range slices.Sorted(maps.Keys(s.files)) {
			s.content += "/" + path + " " + s.files[path].Target + s.files[path].content + "\n"
		}
		return nil
	})
}
