package fuse

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"testing"
)

// exporterVariable hands the built exporter to the tests of this run.
const exporterVariable = "SDP_TEST_EXPORTER"

// TestMain builds the exporter as these tests were built.
func TestMain(m *testing.M) {
	if os.Getenv(mapperVariable) != "" {
		os.Exit(mapAsOrdered())
	}
	if socket := os.Getenv(mounterVariable); socket != "" {
		os.Exit(serveAsMounter(socket))
	}
	os.Exit(withExporter(m.Run))
}

func withExporter(run func() int) int {
	dir, err := os.MkdirTemp("", "sdp-export-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "sdp-export")
	build := exec.Command("go", "build", "-tags", buildTags(), "-o", program, "github.com/sdp-csi/sdp-csi/cmd/sdp-export")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the exporter: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv(exporterVariable, program); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return run()
}

func buildTags() string {
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "-tags" {
			return s.Value
		}
	}
	return ""
}
