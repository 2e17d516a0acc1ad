package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/mounter"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/fuse"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/krbd"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/nbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The values of --mapper.
const (
	mapperAuto = "auto"
	mapperKRBD = "krbd"
	mapperNBD  = "nbd"
	mapperFUSE = "fuse"
)

// mapper is a mapper that knows whether this kernel can do it.
type mapper interface {
	rbd.Mapper
	Available(ctx context.Context) error
}

// named is a mapper and the flag's value for it.
type named struct {
	name string
	mapper
}

// mappers are all there are, the preferred ones first.
func mappers(stateDir string, starter mounter.Starter) []named {
	return []named{
		{mapperKRBD, krbd.New("/sys", "/dev").Naming(ceph.Inspect)},
		{mapperNBD, nbd.New(nbd.Options{Inspect: ceph.Inspect, Starter: starter})},
		{mapperFUSE, fuse.New(fuse.Options{StateDir: stateDir, Starter: starter})},
	}
}

// choosePatience bounds the question whether a kernel can do a mapper, which
// may load a module.
const choosePatience = 30 * time.Second

// choose returns the mapper of that name, or for auto the first that the
// kernel can do.
func choose(ctx context.Context, name string, all []named) (named, error) {
	ctx, cancel := context.WithTimeout(ctx, choosePatience)
	defer cancel()
	var failed []error
	for _, m := range all {
		if name != mapperAuto && name != m.name {
			continue
		}
		err := m.Available(ctx)
		if err == nil {
			return m, nil
		}
		failed = append(failed, fmt.Errorf("--mapper=%s: %w", m.name, err))
	}
	if len(failed) == 1 {
		return named{}, failed[0]
	}
	return named{}, fmt.Errorf("this node can do no mapper: %w: %w", errors.Join(failed...), volume.ErrUnsupported)
}

// tidyPatience bounds the removal of leftovers before the first request.
const tidyPatience = time.Minute

// tidy lets the mappers that have processes remove what dead ones left. What
// cannot be removed now is met by the request that needs its place.
func tidy(ctx context.Context, all []named) {
	ctx, cancel := context.WithTimeout(ctx, tidyPatience)
	defer cancel()
	for _, m := range all {
		s, ok := m.mapper.(interface{ Sweep(context.Context) error })
		if !ok {
			continue
		}
		if err := s.Sweep(ctx); err != nil {
			klog.FromContext(ctx).Error(err, "remove what dead mappings left", "mapper", m.name)
		}
	}
}
