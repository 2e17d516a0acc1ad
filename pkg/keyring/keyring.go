package keyring

import (
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// keyType is the kernel's key type for cephx secrets (net/ceph/crypto.c). Its
// payload is the decoded key.
const keyType = "ceph"

// Description is what the option key= names. The key is in the keyring of one
// thread, where no other thread sees it, so one name serves all.
const Description = "sdp-csi"

// With runs fn on a thread of its own that has the key in its keyring, and
// returns what fn does.
func With(key volume.Secret, fn func() error) error {
	result := make(chan error, 1)
	go func() {
		// Never unlocked: the thread, and its keyring, end with the goroutine.
		runtime.LockOSThread()
		result <- withKey(key, fn)
	}()
	return <-result
}

func withKey(key volume.Secret, fn func() error) error {
	payload, err := base64.StdEncoding.DecodeString(key.Reveal())
	if err != nil || len(payload) == 0 {
		// The decoder's error would quote the key.
		return fmt.Errorf("the key is not base64: %w", volume.ErrInvalid)
	}
	id, err := unix.AddKey(keyType, Description, payload, unix.KEY_SPEC_THREAD_KEYRING)
	clear(payload)
	if errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("the key is not one of cephx: %w", volume.ErrInvalid)
	}
	if err != nil {
		return fmt.Errorf("add the key to the thread's keyring: %w: %w", err, volume.ErrUnavailable)
	}
	defer func() { _, _ = unix.KeyctlInt(unix.KEYCTL_UNLINK, id, unix.KEY_SPEC_THREAD_KEYRING, 0, 0) }()
	return fn()
}
