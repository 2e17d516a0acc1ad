package krbd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// TestHolderIsNamed adds the holder to a refusal where it is known, and takes
// nothing away from any other answer.
func TestHolderIsNamed(t *testing.T) {
	refused := fmt.Errorf("another node: %w", volume.ErrInUse)
	for name, c := range map[string]struct {
		cause  error
		holder string
		err    error
		named  bool
	}{
		"held":         {refused, "192.0.2.7:0", nil, true},
		"held by none": {refused, "", nil, false},
		"no answer":    {refused, "192.0.2.7:0", volume.ErrUnavailable, false},
		"not refused":  {fmt.Errorf("a key: %w", volume.ErrDenied), "192.0.2.7:0", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			k := New(t.TempDir(), "/dev").Naming(func(context.Context, rbd.Mapping, volume.Credentials) (rbd.Identity, string, error) {
				return rbd.Identity{}, c.holder, c.err
			})
			err := k.name(t.Context(), rbd.Mapping{}, volume.Credentials{}, c.cause)
			if !errors.Is(err, c.cause) || strings.Contains(err.Error(), "192.0.2.7:0") != c.named {
				t.Errorf("got %v", err)
			}
		})
	}
	if err := New(t.TempDir(), "/dev").name(t.Context(), rbd.Mapping{}, volume.Credentials{}, refused); !errors.Is(err, refused) {
		t.Errorf("without anybody to ask: %v", err)
	}
}
