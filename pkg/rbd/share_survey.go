package rbd

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
)

// Shared is a golden that this node has mapped.
type Shared struct {
	Mapped
	Path    string   // where it is mounted
	Sharers []string // the IDs of the volumes that show it, each once
}

// Shared returns the goldens that are mapped, in the order of their names. It
// asks the kernel only.
func (s *Stager) Shared(ctx context.Context) ([]Shared, error) {
	all, err := s.mapper.List(ctx)
	if err != nil {
		return nil, err
	}
	sharers, err := s.goldens.Sharers(ctx)
	if err != nil {
		return nil, err
	}
	var found []Shared
	for _, m := range all {
		if !m.isGolden() {
			continue
		}
		path := s.goldens.Path(m.Mapping)
		found = append(found, Shared{Mapped: m, Path: path, Sharers: slices.Compact(slices.Sorted(slices.Values(sharers[path])))})
	}
	slices.SortFunc(found, func(a, b Shared) int {
		return cmp.Compare(filepath.Join(a.Namespace, a.Image, a.ImageID), filepath.Join(b.Namespace, b.Image, b.ImageID))
	})
	return found, nil
}

// Prefetching returns how many goldens are being read ahead just now.
func (s *Stager) Prefetching() int { return s.goldens.Prefetches.Running() }
