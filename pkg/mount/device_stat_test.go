package mount

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func TestBytesRead(t *testing.T) {
	for name, tc := range map[string]struct {
		stat string
		want int64
		err  error
	}{
		"a device":  {stat: "     361        3    24680      120        0        0        0        0        0      100      120\n", want: 24680 * 512},
		"unused":    {stat: "0 0 0 0 0 0 0 0 0 0 0\n"},
		"too short": {stat: "1 2\n", err: volume.ErrUnsupported},
		"no number": {stat: "1 2 three\n", err: volume.ErrUnsupported},
		"absent":    {err: volume.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "class/block/loop7")
			if tc.stat != "" {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, "stat"), []byte(tc.stat), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := BytesRead(filepath.Join(dir, "../../.."), "/dev/loop7")
			if got != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("%d, %v", got, err)
			}
		})
	}
}
