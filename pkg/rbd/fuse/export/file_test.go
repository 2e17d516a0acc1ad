package export

import (
	"bytes"
	"errors"
	"io"
	"log"
	"strings"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// memory is an image in memory, which fails when it is told to.
type memory struct {
	data    []byte
	flushed int
	err     error
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	n := copy(p, m.data[min(off, int64(len(m.data))):])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) { return copy(m.data[off:], p), m.err }
func (m *memory) Flush() error                             { m.flushed++; return m.err }
func (m *memory) Size() (int64, error)                     { return int64(len(m.data)), m.err }

func (m *memory) Zero(offset, length int64) error {
	clear(m.data[offset : offset+length])
	return m.err
}

func newFile(readOnly bool) (*file, *memory, *bytes.Buffer) {
	image, said := &memory{data: []byte("0123456789")}, &bytes.Buffer{}
	return &file{
		RawFileSystem: fuse.NewDefaultRawFileSystem(), image: image, readOnly: readOnly,
		handles: &handles{idle: func() {}}, faults: &faults{log: log.New(said, "", 0)},
	}, image, said
}

func TestFileHasOneName(t *testing.T) {
	f, _, _ := newFile(true)
	var out fuse.EntryOut
	if s := f.Lookup(nil, &fuse.InHeader{NodeId: rootNode}, FileName, &out); !s.Ok() || out.Size != 10 || out.Mode != syscall.S_IFREG|0o400 {
		t.Errorf("%v %+v", s, out)
	}
	if s := f.Lookup(nil, &fuse.InHeader{NodeId: rootNode}, "other", &out); s != fuse.ENOENT {
		t.Error(s)
	}
}

func TestFileReads(t *testing.T) {
	f, _, _ := newFile(true)
	for offset, want := range map[uint64]string{0: "0123", 8: "89", 10: "", 100: ""} {
		result, s := f.Read(nil, &fuse.ReadIn{Offset: offset}, make([]byte, 4))
		if !s.Ok() {
			t.Fatal(s)
		}
		if got, _ := result.Bytes(nil); string(got) != want {
			t.Errorf("at %d: %q", offset, got)
		}
	}
}

func TestReadOnlyFileRefusesChanges(t *testing.T) {
	f, image, _ := newFile(true)
	open := &fuse.OpenIn{InHeader: fuse.InHeader{NodeId: fileNode}, Flags: syscall.O_RDWR}
	if s := f.Open(nil, open, &fuse.OpenOut{}); s != fuse.EROFS {
		t.Error(s)
	}
	if _, s := f.Write(nil, &fuse.WriteIn{}, []byte("x")); s != fuse.EROFS {
		t.Error(s)
	}
	if s := f.Fallocate(nil, &fuse.FallocateIn{Mode: unix.FALLOC_FL_PUNCH_HOLE, Length: 1}); s != fuse.EROFS {
		t.Error(s)
	}
	if s := f.Fsync(nil, &fuse.FsyncIn{}); !s.Ok() || image.flushed != 0 {
		t.Errorf("%v, %d flushes", s, image.flushed)
	}
	if string(image.data) != "0123456789" {
		t.Errorf("%q", image.data)
	}
}

func TestWritableFile(t *testing.T) {
	f, image, _ := newFile(false)
	if n, s := f.Write(nil, &fuse.WriteIn{Offset: 2}, []byte("xy")); n != 2 || !s.Ok() {
		t.Errorf("%d %v", n, s)
	}
	if s := f.Fallocate(nil, &fuse.FallocateIn{Mode: unix.FALLOC_FL_ZERO_RANGE, Offset: 5, Length: 2}); !s.Ok() {
		t.Error(s)
	}
	if s := f.Fallocate(nil, &fuse.FallocateIn{Length: 2}); s != fuse.Status(syscall.EOPNOTSUPP) {
		t.Error(s)
	}
	if s := f.Fsync(nil, &fuse.FsyncIn{}); !s.Ok() || image.flushed != 1 {
		t.Errorf("%v, %d flushes", s, image.flushed)
	}
	if string(image.data) != "01xy4\x00\x00789" {
		t.Errorf("%q", image.data)
	}
}

func TestFaultsAreLoggedOnce(t *testing.T) {
	f, image, said := newFile(false)
	image.err = errors.New("away")
	for range 3 {
		if _, s := f.Read(nil, &fuse.ReadIn{}, make([]byte, 1)); s != fuse.EIO {
			t.Error(s)
		}
		if s := f.Fsync(nil, &fuse.FsyncIn{}); s != fuse.EIO {
			t.Error(s)
		}
	}
	image.err = nil
	_, _ = f.Read(nil, &fuse.ReadIn{}, make([]byte, 1))
	_, _ = f.Read(nil, &fuse.ReadIn{}, make([]byte, 1))
	if lines := strings.Count(said.String(), "\n"); lines != 2 {
		t.Errorf("%d lines:\n%s", lines, said)
	}
}

func TestHandlesGoIdle(t *testing.T) {
	for name, c := range map[string]struct {
		steps string // o: open, r: release, s: settle
		idle  int
	}{
		"nothing yet":           {"", 0},
		"never opened":          {"s", 1},
		"open when settled":     {"os", 0},
		"detached later":        {"osr", 1},
		"retried before":        {"oror", 0},
		"two openers":           {"oosr", 0},
		"both gone":             {"oosrr", 1},
		"opened again in time":  {"osror", 2},
		"settled after release": {"ors", 1},
	} {
		t.Run(name, func(t *testing.T) {
			count := 0
			h := &handles{idle: func() { count++ }}
			for _, step := range c.steps {
				map[rune]func(){'o': h.opened, 'r': h.released, 's': h.settle}[step]()
			}
			if count != c.idle {
				t.Errorf("idle %d times, want %d", count, c.idle)
			}
		})
	}
}
