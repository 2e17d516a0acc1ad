package image

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// find returns where one of e2fsprogs' programs lies. Ordinary users' PATH
// often lacks the directories for administration.
func find(program string) (string, error) {
	for _, name := range []string{program, filepath.Join("/usr/sbin", program), filepath.Join("/sbin", program)} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not on this machine: install the package e2fsprogs, or import without --format ext4: %w", program, volume.ErrUnsupported)
}

// run runs a program to its end and returns what it wrote to its standard
// error. The environment is fixed so that equal input gives equal output.
func run(ctx context.Context, dir, program string, args ...string) (string, error) {
	path, err := find(program)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "MKE2FS_CONFIG=/dev/null", "E2FSPROGS_FAKE_TIME=1"}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil:
		return "", fmt.Errorf("%s: %w: %s: %w", program, err, lastLine(stderr.String()), volume.ErrUnavailable)
	}
	return stderr.String(), nil
}

// debugfs runs a script on an image. Its exit code says nothing about the
// commands; its standard error has a line on the version and one for each
// command that went wrong.
func debugfs(ctx context.Context, dir, script, image string) error {
	stderr, err := run(ctx, dir, "debugfs", "-w", "-f", script, image)
	if err != nil {
		return err
	}
	for line := range strings.Lines(stderr) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "debugfs 1.") {
			return fmt.Errorf("fill the ext4 image: debugfs: %s: %w", line, volume.ErrUnavailable)
		}
	}
	return nil
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}
