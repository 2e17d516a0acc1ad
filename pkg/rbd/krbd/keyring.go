package krbd

import (
	"encoding/base64"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// keyType is the kernel's key type for cephx secrets (net/ceph/crypto.c). Its
// payload is the decoded key.
const keyType = "ceph"

// keyDescription names the key while the kernel reads it. It is in the keyring
// of one thread, where no other thread sees it, so one name serves all.
const keyDescription = "sdp-csi"

// withKey runs fn with the key in this thread's keyring, where the kernel
// looks up the option key=. The caller has locked its goroutine to the thread.
func withKey(key volume.Secret, fn func() error) error {
	payload, err := base64.StdEncoding.DecodeString(key.Reveal())
	if err != nil || len(payload) == 0 {
		// The decoder's error would quote the key.
		return fmt.Errorf("the key is not base64: %w", volume.ErrInvalid)
	}
	id, err := unix.AddKey(keyType, keyDescription, payload, unix.KEY_SPEC_THREAD_KEYRING)
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
