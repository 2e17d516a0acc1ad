package main

import (
	"context"
	"time"

	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/mounter"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/fuse"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/krbd"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/nbd"
)

// The values of --mapper, beside auto.
const (
	mapperKRBD = "krbd"
	mapperNBD  = "nbd"
	mapperFUSE = "fuse"
)

// mapper is a mapper that knows whether this kernel can do it.
type mapper interface {
	rbd.Mapper
	Available(ctx context.Context) error
}

// mappers are all there are, the preferred ones first.
func mappers(stateDir string, starter mounter.Starter) []named[mapper] {
	return []named[mapper]{
		{mapperKRBD, krbd.New("/sys", "/dev").Naming(ceph.Inspect)},
		{mapperNBD, nbd.New(nbd.Options{Inspect: ceph.Inspect, Starter: starter})},
		{mapperFUSE, fuse.New(fuse.Options{StateDir: stateDir, Starter: starter})},
	}
}

// tidyPatience bounds the removal of leftovers before the first request.
const tidyPatience = time.Minute

// tidy lets the mappers that have processes remove what dead ones left. What
// cannot be removed now is met by the request that needs its place.
func tidy(ctx context.Context, all []named[mapper]) {
	ctx, cancel := context.WithTimeout(ctx, tidyPatience)
	defer cancel()
	for _, m := range all {
		s, ok := m.way.(interface{ Sweep(context.Context) error })
		if !ok {
			continue
		}
		if err := s.Sweep(ctx); err != nil {
			klog.FromContext(ctx).Error(err, "remove what dead mappings left", "mapper", m.name)
		}
	}
}
