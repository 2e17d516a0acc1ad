package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/fuse/export"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/fuse/wire"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// control is the socket that the mapper left us.
const control = 3

// patience bounds the request's arrival, and the way out of Ceph at the end.
const patience = 15 * time.Second

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "sdp-export DIRECTORY: is started by sdp-csi (--mapper=fuse), not by hand")
		os.Exit(2)
	}
	logger := log.New(os.Stderr, "", log.LstdFlags|log.LUTC)
	if err := run(os.Args[1], logger); err != nil {
		logger.Print(err)
		os.Exit(1)
	}
}

// run serves until the mount has gone. What it tells the mapper it does not
// log as well.
func run(dir string, logger *log.Logger) error {
	// A supervisor's polite signal must not take a pod's data away: the way
	// to end an exporter is to detach its device.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGTERM)
	mapper, err := listen()
	if err != nil {
		return err
	}
	defer mapper.Close()
	image, shown, err := begin(dir, mapper, logger)
	if err != nil {
		return wire.Send(mapper, wire.Refuse(err))
	}
	if wire.Send(mapper, wire.Reply{}) == nil {
		// The mapper says nothing more. It closes when the device is attached.
		_, _ = io.Copy(io.Discard, mapper)
	}
	shown.Settle()
	shown.Wait()
	if err := leave(image); err != nil {
		return err
	}
	return tidy(dir)
}

// listen opens the socket, and takes the lock that tells the mapper, also a
// later one, which process serves the mount.
func listen() (net.Conn, error) {
	file := os.NewFile(control, "control")
	defer file.Close()
	mapper, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("no mapper has started this process: %w: %w", err, volume.ErrInvalid)
	}
	return mapper, wire.Own(os.Stderr)
}

// begin does what the mapper asks for.
func begin(dir string, mapper net.Conn, logger *log.Logger) (*ceph.Attachment, *export.Export, error) {
	request, err := hear(mapper)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), request.Timeout)
	defer cancel()
	credentials := volume.Credentials{User: request.User, Key: volume.Secret(request.Key)}
	image, err := ceph.Attach(ctx, request.Mapping, credentials)
	if err != nil {
		return nil, nil, err
	}
	shown, err := show(dir, request.Mapping, image, logger)
	if err != nil {
		// A lock that is not given back would keep the next one waiting.
		return nil, nil, errors.Join(err, leave(image))
	}
	return image, shown, nil
}

func hear(mapper net.Conn) (request wire.Request, err error) {
	if err := mapper.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return request, err
	}
	if err := wire.Receive(mapper, &request); err != nil {
		return request, err
	}
	return request, mapper.SetReadDeadline(time.Time{})
}

// show mounts the image under what Ceph calls it.
func show(dir string, m rbd.Mapping, image *ceph.Attachment, logger *log.Logger) (*export.Export, error) {
	m.Identity = image.Identity()
	m.ReadOnly = m.ReadOnly || m.Snapshot != ""
	source, err := wire.Source(m)
	if err != nil {
		return nil, err
	}
	return export.Mount(dir, source, image, m.ReadOnly, logger)
}

// leave gives the lock back. Where Ceph does not answer, the end of the
// process has to do.
func leave(image *ceph.Attachment) error {
	done := make(chan error, 1)
	go func() { done <- image.Close() }()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		return fmt.Errorf("leave Ceph: no answer in %s: %w", patience, volume.ErrUnavailable)
	}
}

// tidy removes what was made for this process. The log, whose lock says that
// the process is there, goes last; a mapper may have been faster.
func tidy(dir string) error {
	for _, path := range []string{dir, dir + wire.LogSuffix} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
