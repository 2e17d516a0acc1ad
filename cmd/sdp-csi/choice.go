package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// auto is the value of a flag that leaves a choice to the node.
const auto = "auto"

// available is a way to do something that not every node has.
type available interface {
	Available(ctx context.Context) error
}

// named is a way, and the value of a flag that asks for it.
type named[W available] struct {
	name string
	way  W
}

// choosePatience bounds the question whether a kernel can do something, which
// may load a module.
const choosePatience = 30 * time.Second

// choose returns the way that the value of a flag names, or for auto the first
// that this node can do.
func choose[W available](ctx context.Context, flag, value string, all []named[W]) (named[W], error) {
	ctx, cancel := context.WithTimeout(ctx, choosePatience)
	defer cancel()
	var failed []error
	for _, w := range all {
		if value != auto && value != w.name {
			continue
		}
		err := w.way.Available(ctx)
		if err == nil {
			return w, nil
		}
		failed = append(failed, fmt.Errorf("--%s=%s: %w", flag, w.name, err))
	}
	if len(failed) == 1 {
		return named[W]{}, failed[0]
	}
	return named[W]{}, fmt.Errorf("this node can do no --%s: %w: %w", flag, errors.Join(failed...), volume.ErrUnsupported)
}

// but returns the ways that were not chosen.
func but[W available](chosen named[W], all []named[W]) (others []W) {
	for _, w := range all {
		if w.name != chosen.name {
			others = append(others, w.way)
		}
	}
	return others
}
