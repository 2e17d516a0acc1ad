package record

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// readers is how many records of a page are read at once.
const readers = 16

// Page returns a page of what the records are of whose names begin with prefix,
// in the order of the rest of their names, and the last rest looked at (empty:
// there are no more). get reads the one of a rest; what it does not find is
// left out, so a page can have fewer than limit before the end.
func Page[T any](ctx context.Context, from Store, at tenant.Place, prefix, after string, limit int, get func(rest string) (T, error)) ([]T, string, error) {
	names, err := from.ListRecords(ctx, at, prefix, prefix+after, limit)
	if err != nil || len(names) == 0 {
		return nil, "", err
	}
	found := make([]*T, len(names))
	var group errgroup.Group
	group.SetLimit(readers)
	for i, name := range names {
		group.Go(func() error {
			one, err := get(name[len(prefix):])
			if errors.Is(err, volume.ErrNotFound) {
				return nil
			}
			found[i] = &one
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, "", err
	}
	last := ""
	if len(names) == limit {
		last = names[len(names)-1][len(prefix):]
	}
	return compact(found), last, nil
}

func compact[T any](found []*T) []T {
	all := make([]T, 0, len(found))
	for _, one := range found {
		if one != nil {
			all = append(all, *one)
		}
	}
	return all
}
