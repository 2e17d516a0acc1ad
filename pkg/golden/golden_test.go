package golden_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// bench is a library on a fake Ceph, and two data sets to import.
type bench struct {
	*testing.T
	ceph *fake.Ceph
	lib  *golden.Library
	at   tenant.Place
	ref  volume.GoldenRef
	a, b string
}

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func newBench(t *testing.T) *bench {
	t.Helper()
	return newBenchOf(t, data(t, "a", 5<<20), data(t, "b", 300))
}

// newBenchOf is newBench with data sets that are there already.
func newBenchOf(t *testing.T, dataA, dataB string) *bench {
	t.Helper()
	policy, err := tenant.Parse([]byte(`
clusters: [{id: test, monitors: ["127.0.0.1:3300"], pool: rbd}]
tenants: [{name: acme, namespaces: [acme]}]`))
	if err != nil {
		t.Fatal(err)
	}
	at, err := policy.Default("acme", "")
	if err != nil {
		t.Fatal(err)
	}
	c := fake.NewCeph()
	b := &bench{T: t, ceph: c, at: at, ref: volume.GoldenRef{Name: "resnet50", Version: "v1"}, a: dataA, b: dataB}
	// One chunk at a time, so that the n-th call is the same in every run.
	b.lib = golden.NewLibrary(c, golden.Options{InFlight: 1, Now: func() time.Time { return noon }})
	return b
}

// data makes a file of size bytes, none of them zero.
func data(t testing.TB, name string, size int) string {
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, bytes.Repeat([]byte(name), size), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func (b *bench) load(path string) (volume.Golden, error) {
	return b.lib.Import(context.Background(), b.at, b.ref, golden.Import{Source: image.Source{Path: path}, Note: "a test"})
}

func (b *bench) mustLoad(path string) volume.Golden {
	b.Helper()
	g, err := b.load(path)
	if err != nil {
		b.Fatal(err)
	}
	return g
}

func (b *bench) delete() error { return b.lib.Delete(context.Background(), b.at, b.ref) }

func (b *bench) get() (volume.Golden, error) { return b.lib.Get(context.Background(), b.at, b.ref) }

func (b *bench) want(err, want error) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Errorf("got %v, want %v", err, want)
	}
}

// clone makes a clone of the golden under a name.
func (b *bench) clone(name string) error {
	parent := rbd.Parent{Place: b.at, Image: b.ref.Image(), Snapshot: volume.SealedSnapshot}
	return b.ceph.CloneImage(context.Background(), parent, b.at, name)
}

func TestImportSealsWhatWasRead(t *testing.T) {
	b := newBench(t)
	g := b.mustLoad(b.a)
	if g.State != volume.GoldenReady || g.FsType != "erofs" || g.Size%(4<<20) != 0 || g.DataBytes <= 5<<20 ||
		g.Source != "a test" || !g.Created.Equal(noon) || g.Ref.String() != "acme/resnet50:v1" || g.ImageID == "" || g.SnapshotID == 0 {
		t.Errorf("got %+v", g)
	}
	if got := b.stored(g); got != g.Digest {
		t.Errorf("the image has %s, the record says %s", got, g.Digest)
	}
	resolved, err := b.lib.Resolve(context.Background(), b.at, b.ref)
	if err != nil || resolved != g {
		t.Errorf("resolved %+v, %v", resolved, err)
	}
}

// stored is the digest of what the image holds.
func (b *bench) stored(g volume.Golden) string {
	b.Helper()
	i, err := b.ceph.OpenImage(context.Background(), b.at, b.ref.Image())
	if err != nil {
		b.Fatal(err)
	}
	defer i.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(i, 0, g.DataBytes)); err != nil {
		b.Fatal(err)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}

func TestImportsOfEqualInputAreEqual(t *testing.T) {
	for _, fsType := range []string{image.EROFS, image.Ext4} {
		t.Run(fsType, func(t *testing.T) {
			one, two := newBench(t), newBench(t)
			in := golden.Import{Source: image.Source{Path: one.a}, FsType: fsType, Scratch: t.TempDir()}
			g, err := one.lib.Import(context.Background(), one.at, one.ref, in)
			if err != nil {
				t.Fatal(err)
			}
			in.Source.Path = two.a
			h, err := two.lib.Import(context.Background(), two.at, two.ref, in)
			if err != nil || g.Digest != h.Digest || g.FsType != fsType {
				t.Errorf("%+v and %+v, %v", g, h, err)
			}
			if left, _ := os.ReadDir(in.Scratch); len(left) > 0 {
				t.Errorf("scratch holds %v", left)
			}
		})
	}
}

func TestZerosAreNotWritten(t *testing.T) {
	b := newBench(t)
	holes := filepath.Join(t.TempDir(), "holes")
	if err := os.WriteFile(holes, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(holes, 64<<20); err != nil {
		t.Fatal(err)
	}
	b.mustLoad(holes)
	if n := b.calls("WriteAt"); n != 1 {
		t.Errorf("%d writes for a file of zeros, want only the metadata's", n)
	}
}

func (b *bench) calls(port string) int {
	n := 0
	for _, c := range b.ceph.Trace() {
		if c.Port == port {
			n++
		}
	}
	return n
}

func TestImportAgain(t *testing.T) {
	b := newBench(t)
	first := b.mustLoad(b.a)
	writes := b.calls("WriteAt")
	if again := b.mustLoad(b.a); again != first {
		t.Errorf("got %+v, want %+v", again, first)
	}
	if n := b.calls("WriteAt"); n != writes {
		t.Errorf("%d more writes", n-writes)
	}
	_, err := b.load(b.b)
	b.want(err, volume.ErrConflict)
	_, err = b.lib.Import(context.Background(), b.at, b.ref, golden.Import{Source: image.Source{Path: b.a}, FsType: image.Ext4, Scratch: t.TempDir()})
	b.want(err, volume.ErrConflict)
}

func TestUnsealedGolden(t *testing.T) {
	b := newBench(t)
	b.crashAt("CreateSnapshot", fake.Before)
	_, err := b.load(b.a)
	b.want(err, volume.ErrUnavailable)
	b.ceph.Restart()
	_, err = b.lib.Resolve(context.Background(), b.at, b.ref)
	b.want(err, volume.ErrNotFound)
	all, _, err := b.lib.List(context.Background(), b.at, "", 10)
	if err != nil || len(all) != 1 || all[0].State != volume.GoldenCreating {
		t.Errorf("list: %+v, %v", all, err)
	}
	b.want(b.lib.Retire(context.Background(), b.at, b.ref), volume.ErrInvalid)
	if err := b.delete(); err != nil {
		t.Fatal(err)
	}
	if left := b.ceph.Contents(b.at); len(left) > 0 {
		t.Errorf("left %q", left)
	}
	b.mustLoad(b.b) // its name was never used
}

// crashAt lets the process die at its next call of a port.
func (b *bench) crashAt(port string, when fake.When) {
	b.ceph.Reset(func(c fake.Call) fake.Fault {
		if c.Port == port {
			return fake.Fault{When: when, Crash: true}
		}
		return fake.Fault{}
	})
}

func TestTwoImportsAtOnce(t *testing.T) {
	b := newBench(t)
	writing, goOn := make(chan struct{}), make(chan struct{})
	once := sync.OnceFunc(func() { close(writing) })
	b.ceph.Reset(func(c fake.Call) fake.Fault {
		if c.Port == "WriteAt" {
			once()
			<-goOn
		}
		return fake.Fault{}
	})
	ended := make(chan error)
	go func() {
		_, err := b.load(b.a)
		ended <- err
	}()
	<-writing
	_, err := b.load(b.b)
	b.want(err, volume.ErrPending)
	b.want(b.delete(), volume.ErrPending)
	close(goOn)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestCancelledImportLeavesNothing(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(context.Background())
	b.ceph.Reset(func(c fake.Call) fake.Fault {
		if c.Port == "WriteAt" {
			cancel()
		}
		return fake.Fault{}
	})
	_, err := b.lib.Import(ctx, b.at, b.ref, golden.Import{Source: image.Source{Path: b.a}})
	b.want(err, context.Canceled)
	if left := b.ceph.Contents(b.at); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

func TestTakenOverImportDoesNotSeal(t *testing.T) {
	b := newBench(t)
	slept := false
	b.ceph.Reset(func(c fake.Call) fake.Fault {
		if c.Port == "Flush" && !slept {
			slept = true
			// The lock expires, and another import crashes half way.
			other := []byte(`{"v":1,"state":"creating","golden":"resnet50:v1","attempt":"other","created":"2026-07-01T12:00:00Z"}`)
			ours, err := b.ceph.ReadRecord(context.Background(), b.at, b.ref.Image())
			if err = errors.Join(err, b.ceph.SwapRecord(context.Background(), b.at, b.ref.Image(), ours, other)); err != nil {
				t.Error(err)
			}
		}
		return fake.Fault{}
	})
	_, err := b.load(b.a)
	b.want(err, volume.ErrPending)
	if g, err := b.get(); err != nil || g.State != volume.GoldenCreating {
		t.Errorf("got %+v, %v", g, err)
	}
}

// liar is a Ceph that gives back a wrong byte.
type liar struct{ *fake.Ceph }

type lyingImage struct{ golden.Image }

func (l liar) OpenImage(ctx context.Context, at tenant.Place, name string) (golden.Image, error) {
	i, err := l.Ceph.OpenImage(ctx, at, name)
	return lyingImage{i}, err
}

func (i lyingImage) ReadAt(p []byte, off int64) (int, error) {
	n, err := i.Image.ReadAt(p, off)
	p[n-1] ^= 1
	return n, err
}

func TestWrongBytesAreNotSealed(t *testing.T) {
	b := newBench(t)
	b.lib = golden.NewLibrary(liar{b.ceph}, golden.Options{})
	_, err := b.load(b.a)
	b.want(err, volume.ErrUnavailable)
	if left := b.ceph.Contents(b.at); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

func TestListPages(t *testing.T) {
	b := newBench(t)
	var want []string
	for n := range 7 {
		b.ref.Version = fmt.Sprintf("v%d", n)
		want = append(want, "acme/resnet50:"+b.ref.Version)
		b.mustLoad(b.b)
	}
	for limit := 1; limit < 10; limit++ {
		var got []string
		for after := ""; ; {
			some, next, err := b.lib.List(context.Background(), b.at, after, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range some {
				got = append(got, g.Ref.String())
			}
			if after = next; after == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: got %v", limit, got)
		}
	}
}

func TestNewerRecordIsRefused(t *testing.T) {
	b := newBench(t)
	if err := b.ceph.CreateRecord(context.Background(), b.at, b.ref.Image(), []byte(`{"v":2}`)); err != nil {
		t.Fatal(err)
	}
	_, err := b.get()
	b.want(err, volume.ErrUnsupported)
	b.want(b.delete(), volume.ErrUnsupported)
	_, err = b.load(b.a)
	b.want(err, volume.ErrUnsupported)
}

func TestProgressComesToItsEnd(t *testing.T) {
	b := newBench(t)
	var last [2]int64
	in := golden.Import{Source: image.Source{Path: b.a}, Progress: func(step golden.Step, done, total int64) {
		if step != golden.StepWrite || done < last[0] || done > total {
			t.Errorf("%s %d of %d after %v", step, done, total, last)
		}
		last = [2]int64{done, total}
	}}
	g, err := b.lib.Import(context.Background(), b.at, b.ref, in)
	if err != nil || last != [2]int64{g.DataBytes, g.DataBytes} {
		t.Errorf("ended at %v, %v", last, err)
	}
}
