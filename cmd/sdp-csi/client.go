package main

import (
	"context"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/cephfs/fuse"
	"github.com/sdp-csi/sdp-csi/pkg/cephfs/kernel"
	"github.com/sdp-csi/sdp-csi/pkg/mount"
	"github.com/sdp-csi/sdp-csi/pkg/mounter"
)

// The values of --cephfs-mounter, beside auto.
const (
	clientKernel = "kernel"
	clientFUSE   = "fuse"
)

// client is a client of CephFS that knows whether this node can do it.
type client interface {
	cephfs.Mounter
	Available(ctx context.Context) error
}

// clients are all there are, the preferred one first.
func clients(host *mount.Host, stateDir string, starter mounter.Starter) []named[client] {
	return []named[client]{
		{clientKernel, kernel.New(host)},
		{clientFUSE, fuse.New(fuse.Options{Host: host, StateDir: stateDir, Starter: starter})},
	}
}
