package golden_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// shelves are a bench whose goldens are directories of files.
type shelves struct {
	*bench
	files *fake.FileSystem
	trees golden.Trees
	lib   *golden.Library
}

func newShelves(b *bench) *shelves {
	f := fake.NewFileSystem(b.ceph)
	// One file at a time, so that the n-th call is the same in every run.
	return &shelves{bench: b, files: f, trees: f, lib: golden.NewLibrary(f, golden.Options{InFlight: 1})}
}

func (s *shelves) load(path string, progress golden.Progress) (volume.Golden, error) {
	return s.lib.ImportFiles(context.Background(), s.trees, s.at, s.ref, golden.Import{Source: image.Source{Path: path}, Progress: progress})
}

func (s *shelves) mustLoad(path string) volume.Golden {
	s.Helper()
	g, err := s.load(path, nil)
	if err != nil {
		s.Fatal(err)
	}
	return g
}

// TestFilesAfterFault lets an import of files fail or die at each step: nothing
// of it is usable, and the next one makes the same golden.
func TestFilesAfterFault(t *testing.T) {
	dataA, dataB := data(t, "a", 9000), data(t, "b", 300)
	fresh := newShelves(newBenchOf(t, dataA, dataB))
	want := fresh.mustLoad(dataA)
	lines := len(fresh.files.Contents(fresh.at))
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			for n := 1; ; n++ {
				s := newShelves(newBenchOf(t, dataA, dataB))
				s.ceph.Reset(fake.At(n, fault))
				_, err := s.load(dataA, nil)
				if len(s.ceph.Trace()) < n {
					return
				}
				s.ceph.Restart()
				s.ceph.Reset(nil)
				if _, ready := s.lib.Resolve(context.Background(), s.at, s.ref); ready == nil && s.files.SnapshotContent(sealed(s)) == "" {
					t.Fatalf("step %d (%v): usable without content", n, err)
				}
				if g := s.mustLoad(dataA); g.Digest != want.Digest || len(s.files.Contents(s.at)) != lines {
					t.Fatalf("step %d (%v): made %+v\n%q", n, err, g, s.files.Contents(s.at))
				}
			}
		})
	}
}

// liars are trees of which one file is not read back as it was written.
type liars struct{ *fake.FileSystem }

type lyingDirectory struct{ golden.Directory }

func (l liars) OpenDirectory(ctx context.Context, at tenant.Place, name string) (golden.Directory, error) {
	d, err := l.FileSystem.OpenDirectory(ctx, at, name)
	return lyingDirectory{d}, err
}

func (d lyingDirectory) Entries(visit func(image.Entry) error) error {
	return d.Directory.Entries(func(e image.Entry) error {
		if e.Kind == image.File {
			e = e.With(func() (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader(strings.Repeat("x", int(e.Size)))), nil
			})
		}
		return visit(e)
	})
}

func TestWrongFilesAreNotSealed(t *testing.T) {
	s := newShelves(newBench(t))
	s.trees = liars{s.files}
	_, err := s.load(s.a, nil)
	s.want(err, volume.ErrUnavailable)
	if left := s.files.Contents(s.at); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

// TestFilesProgress writes all bytes and then reads all back.
func TestFilesProgress(t *testing.T) {
	s := newShelves(newBench(t))
	var steps []string
	done := map[golden.Step]int64{}
	g, err := s.load(s.a, func(step golden.Step, n, total int64) {
		if done[step] == 0 {
			steps = append(steps, string(step))
		}
		if n < done[step] || n > total {
			t.Errorf("%s %d of %d after %d", step, n, total, done[step])
		}
		done[step] = n
	})
	if err != nil || done[golden.StepWrite] != g.DataBytes || done[golden.StepVerify] != g.DataBytes || fmt.Sprint(steps) != "[write verify]" {
		t.Errorf("%v came to %v of %d, %v", steps, done, g.DataBytes, err)
	}
}

func sealed(s *shelves) cephfs.Snapshot {
	return cephfs.Snapshot{Tenant: s.at.Tenant(), Subvolume: s.ref.Image(), Name: volume.SealedSnapshot}
}
