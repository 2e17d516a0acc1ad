package daemon

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// Main builds the programs once for all tests of a package and runs these, in
// its TestMain. It returns the exit code.
func Main(m *testing.M) int {
	if os.Getenv(binDir) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "sdp-bin")
	if err == nil {
		defer os.RemoveAll(dir)
		err = buildAll(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func buildAll(dir string) error {
	for _, name := range []string{"sdp-csi", "sdp-export", "sdpctl"} {
		if err := build(name, dir); err != nil {
			return err
		}
	}
	return os.Setenv(binDir, dir)
}

// build builds a program at a path, or under its own name in a directory.
func build(name, path string) error {
	out, err := exec.Command("go", "build", "-o", path, "github.com/sdp-csi/sdp-csi/cmd/"+name).CombinedOutput()
	if err != nil {
		return fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return nil
}
