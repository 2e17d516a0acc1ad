package mounter

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// checkPeer wraps volume.ErrDenied unless the other side of a connection runs
// as the user that we run as, which is root: the kernel says so (unix(7),
// SO_PEERCRED), of a listener as it was when it began to listen.
func checkPeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("look who is on the socket: %w: %w", err, volume.ErrUnavailable)
	}
	var peer *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		failed = err
	}
	if failed != nil {
		return fmt.Errorf("look who is on the socket: %w: %w", failed, volume.ErrUnavailable)
	}
	if peer.Uid != uint32(os.Geteuid()) {
		return fmt.Errorf("user %d is on the other side of the socket, not %d: %w", peer.Uid, os.Geteuid(), volume.ErrDenied)
	}
	return nil
}
