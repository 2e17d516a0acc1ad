package tenants

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// TestMain builds the programs once for all tests.
func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Getenv("SDP_BIN") != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "tenants-bin")
	if err == nil {
		defer os.RemoveAll(dir)
		err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// build builds them, and tells tests/daemon where they are.
func build(dir string) error {
	for _, name := range []string{"sdp-csi", "sdp-export", "sdpctl"} {
		out, err := exec.Command("go", "build", "-o", dir, "github.com/sdp-csi/sdp-csi/cmd/"+name).CombinedOutput()
		if err != nil {
			return fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return os.Setenv("SDP_BIN", dir)
}
