package fuse

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/rbd/fuse/wire"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// An exporter that a killed mapper has started may begin only when the next
// mapper has mapped the same image in the same place. It must not touch that.
func TestRealLateExporterEnds(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	m, content := n.image("golden.overslept.v1", someSize)
	m = n.sealed(m)
	s, wake := n.spot(m), filepath.Join(t.TempDir(), "wake")
	n.made(s.dir)
	killed := New(Options{StateDir: n.options.StateDir, Starter: local(sleeper(t, wake))})
	ours, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	late, err := killed.launch(t.Context(), s, theirs, false)
	if err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	if err := wire.Send(ours, wire.Request{Mapping: m, User: n.key.User, Key: n.key.Key.Reveal(), Timeout: patience}); err != nil {
		t.Fatal(err)
	}
	_ = ours.Close()

	device := n.mapped(m)
	if err := os.WriteFile(wake, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n.eventually("the late exporter to end", func() bool { return unix.Kill(late.ID(), 0) != nil })
	n.shows(device, content)
	if again := n.mapped(m); again != device {
		t.Fatalf("mapped on %s, then on %s", device, again)
	}
	n.unmapped(m)
	n.empty()
}

// sleeper is an exporter that begins once there is a file to wake it.
func sleeper(t *testing.T, wake string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sleeper")
	script := "#!/bin/sh\nuntil [ -e '" + wake + "' ]; do sleep 0.1; done\nexec '" + os.Getenv(exporterVariable) + "' \"$@\"\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// An exporter that stops between its word and the attaching keeps the kernel
// waiting. The map gives up, and leaves neither a device nor the exporter.
func TestRealStoppedWhileAttaching(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	m, _ := n.image("golden.stops.v1", someSize)
	m = n.sealed(m)
	n.options.EndTimeout = time.Second
	s := n.spot(m)
	n.made(s.dir)
	exporter := n.started(s, m)
	if err := unix.Kill(n.exporterOf(m), unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.put(ctx, s, m); !errors.Is(err, volume.ErrUnavailable) {
		t.Fatalf("attached to a stopped exporter: %v", err)
	}
	_ = exporter.Close()
	if err := n.undo(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	n.empty()
}
