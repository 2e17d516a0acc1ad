package cephfs

import (
	"cmp"
	"context"
	"errors"
	"slices"
)

// Run sweeps until ctx ends, at once and then often enough that no golden
// lingers much longer than it should, and renews the leases of inline volumes.
func (s *Stager) Run(ctx context.Context) { s.goldens.Run(ctx, s.Sweep, s.renewLeases) }

// Sweep takes away mounts that no volume shows: goldens when they have lingered,
// others at once. A killed driver's leftovers are among them. What a call is at
// work on is left to it.
func (s *Stager) Sweep(ctx context.Context) error {
	return errors.Join(s.goldens.Sweep(ctx), s.own.Sweep(ctx))
}

// Shared is a subvolume that this node has mounted for volumes to share.
type Shared struct {
	Root    string   // its directory in the file system
	Path    string   // where it is mounted
	Sharers []string // the IDs of the volumes that show it, each once
}

// Shared returns what is mounted to be shared, in the order of the directories.
// It asks the kernel only.
func (s *Stager) Shared(ctx context.Context) ([]Shared, error) {
	all, err := backend{s, s.goldens.Dir("golden-fs")}.Goldens(ctx)
	if err != nil {
		return nil, err
	}
	sharers, err := s.goldens.Sharers(ctx)
	if err != nil {
		return nil, err
	}
	var found []Shared
	for _, c := range all {
		if c.root == "" {
			continue
		}
		path := s.goldens.Path(c)
		found = append(found, Shared{Root: c.root, Path: path, Sharers: slices.Compact(slices.Sorted(slices.Values(sharers[path])))})
	}
	slices.SortFunc(found, func(a, b Shared) int { return cmp.Or(cmp.Compare(a.Root, b.Root), cmp.Compare(a.Path, b.Path)) })
	return found, nil
}

// Prefetching returns how many goldens are being read ahead just now.
func (s *Stager) Prefetching() int { return s.goldens.Prefetches.Running() }
