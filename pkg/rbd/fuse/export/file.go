package export

import (
	"errors"
	"io"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// FileName is the one file of an export's mount.
const FileName = "image"

// The nodes of the file system. FUSE gives the root its number.
const (
	rootNode uint64 = fuse.FUSE_ROOT_ID
	fileNode uint64 = rootNode + 1
)

// file answers the kernel's requests for a directory with one file in it.
// Each request has a goroutine of its own, so reads of the image run in
// parallel, as many as the kernel has in flight.
type file struct {
	fuse.RawFileSystem
	image    Image
	readOnly bool
	handles  *handles
	faults   *faults
}

func (f *file) String() string { return fsType }

// Lookup finds the one file.
func (f *file) Lookup(_ <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	if in.NodeId != rootNode || name != FileName {
		return fuse.ENOENT
	}
	out.NodeId, out.Generation = fileNode, 1
	return f.attributes(fileNode, &out.Attr)
}

// GetAttr is never answered from the kernel's cache (no time-out is set), so a
// stat tells the image's size of now.
func (f *file) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	return f.attributes(in.NodeId, &out.Attr)
}

func (f *file) attributes(node uint64, attr *fuse.Attr) fuse.Status {
	attr.Ino, attr.Nlink, attr.Mode = node, 1, syscall.S_IFDIR|0o500
	if node == rootNode {
		return fuse.OK
	}
	size, err := f.image.Size()
	if err != nil {
		return f.faults.status("size", 0, err)
	}
	attr.Mode, attr.Size = syscall.S_IFREG|0o600, uint64(size)
	attr.Blocks = (attr.Size + 511) / 512
	if f.readOnly {
		attr.Mode = syscall.S_IFREG | 0o400
	}
	return fuse.OK
}

// Open hands out no handle of its own. The page cache is the block device's,
// above this file: a second one here would hold every page twice.
func (f *file) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if in.NodeId != fileNode {
		return fuse.Status(syscall.EISDIR)
	}
	if f.readOnly && in.Flags&syscall.O_ACCMODE != syscall.O_RDONLY {
		return fuse.EROFS
	}
	f.handles.opened()
	out.OpenFlags = fuse.FOPEN_DIRECT_IO | fuse.FOPEN_PARALLEL_DIRECT_WRITES
	return fuse.OK
}

// Release comes with the last close, which is the loop device's.
func (f *file) Release(<-chan struct{}, *fuse.ReleaseIn) { f.handles.released() }

// Read reads the image straight into the reply.
func (f *file) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	n, err := f.image.ReadAt(buf, int64(in.Offset))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, f.faults.status("read", in.Offset, err)
	}
	f.faults.passed()
	return fuse.ReadResultData(buf[:n]), fuse.OK
}

// Write answers when Ceph has the data.
func (f *file) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	if f.readOnly {
		return 0, fuse.EROFS
	}
	n, err := f.image.WriteAt(data, int64(in.Offset))
	if err != nil {
		return 0, f.faults.status("write", in.Offset, err)
	}
	f.faults.passed()
	return uint32(n), fuse.OK
}

// Fsync is the block device's flush.
func (f *file) Fsync(<-chan struct{}, *fuse.FsyncIn) fuse.Status { return f.flush() }

// Flush comes with every close.
func (f *file) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return f.flush() }

func (f *file) flush() fuse.Status {
	if f.readOnly {
		return fuse.OK
	}
	if err := f.image.Flush(); err != nil {
		return f.faults.status("flush", 0, err)
	}
	return fuse.OK
}

// Fallocate is the block device's discard and its writing of zeros; both must
// read as zeros afterwards.
func (f *file) Fallocate(_ <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	if f.readOnly {
		return fuse.EROFS
	}
	if in.Mode&(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_ZERO_RANGE) == 0 {
		return fuse.Status(syscall.EOPNOTSUPP)
	}
	if err := f.image.Zero(int64(in.Offset), int64(in.Length)); err != nil {
		return f.faults.status("zero", in.Offset, err)
	}
	return fuse.OK
}

// Access leaves permissions to the mode bits.
func (f *file) Access(<-chan struct{}, *fuse.AccessIn) fuse.Status { return fuse.OK }

// StatFs has nothing to tell, but must not refuse.
func (f *file) StatFs(<-chan struct{}, *fuse.InHeader, *fuse.StatfsOut) fuse.Status { return fuse.OK }
