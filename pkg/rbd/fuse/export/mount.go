package export

import (
	"fmt"
	"log"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// fsType is the type of an export's mount after «fuse.».
const fsType = "sdp"

// What the kernel may ask for at once (docs/adr/0003-fuse-export.md).
const (
	maxRequest = 1 << 20 // bytes; the most that FUSE has without a sysctl
	inFlight   = 32      // requests, two windows of read-ahead
)

// The kernel drops its hold on a mount a moment after the release of a file.
const (
	leaveTries = 1500
	leavePause = 20 * time.Millisecond
)

// Export is a mounted file that shows an image.
type Export struct {
	dir     string
	server  *fuse.Server
	handles *handles
	log     *log.Logger
}

// Mount mounts the image's file on dir, which exists; source is what the mount
// table shows of it. Requests are answered until the mount has gone.
func Mount(dir, source string, image Image, readOnly bool, out *log.Logger) (*Export, error) {
	e := &Export{dir: dir, log: out}
	e.handles = &handles{idle: func() { go e.leave() }}
	answers := &file{
		RawFileSystem: fuse.NewDefaultRawFileSystem(), image: image, readOnly: readOnly,
		handles: e.handles, faults: &faults{log: out},
	}
	server, err := fuse.NewServer(answers, dir, mountOptions(source, out))
	if err != nil {
		return nil, fmt.Errorf("mount FUSE on %s: %w: %w", dir, err, volume.ErrUnavailable)
	}
	e.server = server
	go server.Serve()
	return e, nil
}

func mountOptions(source string, out *log.Logger) *fuse.MountOptions {
	return &fuse.MountOptions{
		DirectMountStrict: true, FsName: source, Name: fsType, Logger: out,
		MaxWrite: maxRequest, MaxBackground: inFlight, CongestionThreshold: inFlight,
		// The loop device has its requests in flight together, not in turn.
		ExtraCapabilities: fuse.CAP_ASYNC_DIO,
		DisableXAttrs:     true,
		// What is read is in memory already, and with its header does not fit in
		// a pipe: each try would fail, and say so in the log.
		DisableSplice: true,
	}
}

// Settle says that the mapper has attached the loop device, or has died. From
// now on the export goes when nobody has its file open.
func (e *Export) Settle() { e.handles.settle() }

// Wait returns when the mount has gone.
func (e *Export) Wait() { e.server.Wait() }

// leave unmounts the export, unless somebody has opened the file again: then
// the next release comes back here.
func (e *Export) leave() {
	for range leaveTries {
		if err := unix.Unmount(e.dir, unix.UMOUNT_NOFOLLOW); err != unix.EBUSY {
			return
		}
		time.Sleep(leavePause)
	}
	e.log.Printf("%s stays mounted: it is in use", e.dir)
}
