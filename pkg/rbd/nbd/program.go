package nbd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/mounter"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/fuse/wire"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// gonePause is between two looks at a device that is going.
const gonePause = 50 * time.Millisecond

// run maps m: rbd-nbd returns when the device is there, and leaves a process
// in a session of its own.
func (n *Mapper) run(ctx context.Context, m rbd.Mapping, c volume.Credentials) error {
	arguments, err := mapArguments(m, c.User)
	if err != nil {
		return err
	}
	source, err := wire.Source(m)
	if err != nil {
		return err
	}
	key, err := mounter.InMemory("key", c.Key.Reveal())
	if err != nil {
		return err
	}
	defer key.Close()
	return n.finish(ctx, "map "+m.Image, mounter.Order{
		Program: mounter.NBD, Arguments: arguments, Label: source, Files: []*os.File{key},
	})
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
		"map", "--conf", os.DevNull, "--mon-host", monHost(m.Monitors), "--id", user, "--keyfile", mounter.KeyPath,
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

// finish runs rbd-nbd until it returns. When ctx ends, the whole session is
// killed; a serving process has left it by then.
func (n *Mapper) finish(ctx context.Context, doing string, o mounter.Order) error {
	said, err := mounter.InMemory("said", "")
	if err != nil {
		return err
	}
	defer said.Close()
	o.Output = said
	process, err := n.options.Starter.Start(ctx, o)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	defer process.Close()
	err = process.Wait(ctx)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", doing, errors.Join(err, process.Kill()))
	}
	return fmt.Errorf("%s: %s: %w", doing, lastWords(said), err)
}

// lastWords returns what a program has said, in one line.
func lastWords(said *os.File) string {
	text := make([]byte, maxWords)
	n, _ := said.ReadAt(text, 0)
	if words := strings.Fields(string(text[:n])); len(words) > 0 {
		return strings.Join(words, " ")
	}
	return "it has said nothing"
}

// maxWords bounds what a message has of a program's words.
const maxWords = 300

// disconnect removes a device, and returns when its process has gone: only
// then is the image's lock free.
func (n *Mapper) disconnect(ctx context.Context, s served) error {
	unmap := mounter.Order{Program: mounter.NBD, Arguments: []string{"unmap", s.Device.Path}}
	if err := n.finish(ctx, "unmap "+s.Device.Path, unmap); err != nil {
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
