package keyring

import (
	"errors"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// TestKeyIsNotQuoted: what is no key is refused before the kernel sees it, and
// the refusal does not tell it.
func TestKeyIsNotQuoted(t *testing.T) {
	for _, key := range []volume.Secret{"", "hunter2!"} {
		err := With(key, func() error { t.Fatal("ran without a key"); return nil })
		if !errors.Is(err, volume.ErrInvalid) || strings.Contains(err.Error(), "hunter2") {
			t.Fatal(err)
		}
	}
}
