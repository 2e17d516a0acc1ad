package nbd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/fuse/wire"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// keyPath is the program's first inherited descriptor. The key is in memory
// only, and neither in argv nor in the environment.
const keyPath = "/proc/self/fd/3"

// outputDelay bounds the wait for a stream that the serving process has kept.
const outputDelay = 5 * time.Second

// gonePause is between two looks at a device that is going.
const gonePause = 50 * time.Millisecond

// run maps m: rbd-nbd returns when the device is there, and leaves a process.
func (n *Mapper) run(ctx context.Context, m rbd.Mapping, c volume.Credentials) error {
	arguments, err := mapArguments(m, c.User)
	if err != nil {
		return err
	}
	source, err := wire.Source(m)
	if err != nil {
		return err
	}
	key, err := keyInMemory(c.Key)
	if err != nil {
		return err
	}
	defer key.Close()
	command := n.command(ctx, arguments...)
	command.Env = append(command.Env, variable+"="+source)
	command.ExtraFiles = []*os.File{key}
	return n.finish(ctx, command, "map "+m.Image)
}

// mapArguments is what rbd-nbd is told. There is no ceph.conf.
func mapArguments(m rbd.Mapping, user string) ([]string, error) {
	for _, word := range append([]string{m.Pool, m.Image, user}, m.Monitors...) {
		if word == "" || strings.ContainsAny(word, "/@, \t\n\x00") || strings.HasPrefix(word, "-") {
			return nil, fmt.Errorf("%.128q cannot be told to rbd-nbd: %w", word, volume.ErrInvalid)
		}
	}
	if strings.ContainsAny(m.Namespace+m.Snapshot, "/@ \t\n\x00") {
		return nil, fmt.Errorf("%.128q or %.128q cannot be told to rbd-nbd: %w", m.Namespace, m.Snapshot, volume.ErrInvalid)
	}
	access := "--exclusive"
	if m.ReadOnly {
		access = "--read-only"
	}
	return []string{
		"map", "--conf", os.DevNull, "--mon-host", monHost(m.Monitors), "--id", user, "--keyfile", keyPath,
		"--rbd-cache", "false", "--client-mount-timeout", "15", "--try-netlink", access, imageSpec(m),
	}, nil
}

// monHost writes messenger v2 addresses for Ceph's option mon_host.
func monHost(monitors []string) string {
	return "[v2:" + strings.Join(monitors, "],[v2:") + "]"
}

// imageSpec is pool/namespace/image@snapshot.
func imageSpec(m rbd.Mapping) string {
	spec := m.Pool + "/" + m.Image
	if m.Namespace != "" {
		spec = m.Pool + "/" + m.Namespace + "/" + m.Image
	}
	if m.Snapshot != "" {
		spec += "@" + m.Snapshot
	}
	return spec
}

// keyInMemory is a file that no directory has. Unlike a pipe it can be read as
// often as Ceph likes to.
func keyInMemory(key volume.Secret) (*os.File, error) {
	fd, err := unix.MemfdCreate("key", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w: %w", err, volume.ErrUnavailable)
	}
	file := os.NewFile(uintptr(fd), "key")
	if _, err := file.WriteString(key.Reveal()); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("write to a file in memory: %w: %w", err, volume.ErrUnavailable)
	}
	return file, nil
}

// command is rbd-nbd in a session of its own. When ctx ends, the whole session
// is killed; a serving process has left it by then.
func (n *Mapper) command(ctx context.Context, arguments ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, n.options.Program, arguments...)
	c.Dir, c.Env = "/", []string{"PATH=" + os.Getenv("PATH")}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	c.Cancel = func() error { return unix.Kill(-c.Process.Pid, unix.SIGKILL) }
	c.WaitDelay = outputDelay
	return c
}

func (n *Mapper) finish(ctx context.Context, c *exec.Cmd, doing string) error {
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	err := c.Run()
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: rbd-nbd has not answered: %w: %w", doing, context.Cause(ctx), volume.ErrUnavailable)
	}
	return fmt.Errorf("%s: rbd-nbd: %w: %.300s: %w", doing, err, bytes.TrimSpace(said.Bytes()), volume.ErrUnavailable)
}

// disconnect removes a device, and returns when its process has gone: only
// then is the image's lock free.
func (n *Mapper) disconnect(ctx context.Context, s served) error {
	if err := n.finish(ctx, n.command(ctx, "unmap", s.Device.Path), "unmap "+s.Device.Path); err != nil {
		return err
	}
	for {
		now, err := n.find(s.Mapping)
		if errors.Is(err, volume.ErrNotFound) || err == nil && now.pid != s.pid {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-time.After(gonePause):
		case <-ctx.Done():
			return fmt.Errorf("%s does not go: %w: %w", s.Device.Path, context.Cause(ctx), volume.ErrUnavailable)
		}
	}
}
