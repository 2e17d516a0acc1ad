package driver

import (
	"context"
	"fmt"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// ListVolumes returns a page of all tenants' volumes (CSI spec, ListVolumes):
// backend by backend, place by place in the policy's order.
func (c *Controller) ListVolumes(ctx context.Context, r *csi.ListVolumesRequest) (*csi.ListVolumesResponse, error) {
	l := listing[volume.Volume]{
		controller: c, page: Backend.List,
		hash:  func(v volume.Volume) string { return v.ID.Hash },
		token: func(at volume.ID) string { return at.String() },
		parse: volume.ParseID,
	}
	all, next, err := l.list(ctx, r.GetStartingToken(), r.GetMaxEntries())
	if err != nil {
		return nil, err
	}
	resp := &csi.ListVolumesResponse{NextToken: next}
	for _, v := range all {
		resp.Entries = append(resp.Entries, &csi.ListVolumesResponse_Entry{Volume: answer(v)})
	}
	return resp, nil
}

// ListSnapshots returns a page of snapshots: all, those of one volume, or one
// by its ID (CSI spec, ListSnapshots). A filter that matches nothing gives an
// empty list.
func (c *Controller) ListSnapshots(ctx context.Context, r *csi.ListSnapshotsRequest) (*csi.ListSnapshotsResponse, error) {
	if r.GetSnapshotId() != "" {
		return c.oneSnapshot(ctx, r)
	}
	l := listing[volume.Snapshot]{
		controller: c, page: Backend.ListSnapshots,
		hash:  func(s volume.Snapshot) string { return s.ID.Hash },
		token: func(at volume.ID) string { return volume.SnapshotID(at).String() },
		parse: func(s string) (volume.ID, error) { id, err := volume.ParseSnapshotID(s); return volume.ID(id), err },
	}
	if r.GetSourceVolumeId() != "" {
		source, err := volume.ParseID(r.GetSourceVolumeId())
		if err != nil {
			return &csi.ListSnapshotsResponse{}, unlessAbsent(err)
		}
		l.only = &source
		l.keep = func(s volume.Snapshot) bool { return s.Source == source }
	}
	all, next, err := l.list(ctx, r.GetStartingToken(), r.GetMaxEntries())
	if err != nil {
		return nil, err
	}
	return answerSnapshots(all, next), nil
}

func (c *Controller) oneSnapshot(ctx context.Context, r *csi.ListSnapshotsRequest) (*csi.ListSnapshotsResponse, error) {
	s, err := c.getSnapshot(ctx, r.GetSnapshotId())
	if err != nil {
		return &csi.ListSnapshotsResponse{}, unlessAbsent(err)
	}
	if src := r.GetSourceVolumeId(); src != "" && src != s.Source.String() {
		return &csi.ListSnapshotsResponse{}, nil
	}
	return answerSnapshots([]volume.Snapshot{s}, ""), nil
}

func answerSnapshots(all []volume.Snapshot, next string) *csi.ListSnapshotsResponse {
	resp := &csi.ListSnapshotsResponse{NextToken: next}
	for _, s := range all {
		resp.Entries = append(resp.Entries, &csi.ListSnapshotsResponse_Entry{Snapshot: answerSnapshot(s)})
	}
	return resp
}

// listing walks backends and places for one page of a list.
type listing[T any] struct {
	controller *Controller
	page       func(Backend, context.Context, tenant.Place, string, int) ([]T, string, error)
	hash       func(T) string
	token      func(volume.ID) string // of a stop, by the last hash that was listed
	parse      func(string) (volume.ID, error)
	only       *volume.ID   // lists the place of this ID only
	keep       func(T) bool // nil: all
}

// stop is where a list goes on: a backend's place, after a hash.
type stop struct {
	backend volume.Backend
	place   tenant.Place
	after   string
}

const (
	// chunk is how many names are read at once.
	chunk = 500
	// most bounds an answer also where the caller sets no limit: gRPC's
	// clients take 4 MiB. The rest is behind the token.
	most = 8000
)

func (l listing[T]) list(ctx context.Context, token string, limit int32) (all []T, next string, err error) {
	size, err := pageSize(limit)
	if err != nil {
		return nil, "", err
	}
	stops, err := l.from(ctx, token)
	if err != nil {
		return nil, "", err
	}
	for len(stops) > 0 {
		if len(all) == size {
			return all, l.tokenOf(stops[0]), nil
		}
		if all, err = l.read(ctx, &stops[0], all, size); err != nil {
			return nil, "", err
		}
		if stops[0].after == "" {
			stops = stops[1:]
		}
	}
	return all, "", nil
}

func pageSize(limit int32) (int, error) {
	switch {
	case limit < 0:
		return 0, fmt.Errorf("max_entries is %d: use 0 for no limit: %w", limit, volume.ErrInvalid)
	case limit == 0:
		return most, nil
	}
	return min(int(limit), most), nil
}

// read adds to all, up to size, what one page of a stop has, and moves the
// stop behind what was looked at; to "" at its end.
func (l listing[T]) read(ctx context.Context, s *stop, all []T, size int) ([]T, error) {
	names := chunk
	if l.keep == nil {
		names = min(chunk, size-len(all))
	}
	found, last, err := l.page(l.controller.backends[s.backend], ctx, s.place, s.after, names)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", s.place, err)
	}
	for _, one := range found {
		if len(all) == size {
			return all, nil
		}
		if s.after = l.hash(one); l.keep == nil || l.keep(one) {
			all = append(all, one)
		}
	}
	s.after = last
	return all, nil
}

// from returns the stops of a list, from the token's on.
func (l listing[T]) from(ctx context.Context, token string) ([]stop, error) {
	all, err := l.stops(ctx)
	if err != nil || token == "" {
		return all, err
	}
	at, err := l.parse(token)
	if err != nil {
		return nil, badToken(token)
	}
	for i, s := range all {
		if s.backend == at.Backend && s.place.Cluster().ID == at.Cluster && s.place.Tenant() == at.Tenant {
			all[i].after = at.Hash
			return all[i:], nil
		}
	}
	return nil, badToken(token)
}

func (l listing[T]) stops(ctx context.Context) (all []stop, err error) {
	policy := l.controller.policy()
	if l.only != nil {
		return l.stopOf(policy, *l.only)
	}
	for _, b := range l.controller.kinds() {
		places, err := l.controller.places(ctx, policy, b)
		if err != nil {
			return nil, err
		}
		for _, p := range places {
			all = append(all, stop{backend: b, place: p})
		}
	}
	return all, nil
}

// stopOf is the one stop of a list of what belongs to id.
func (l listing[T]) stopOf(policy *tenant.Policy, id volume.ID) ([]stop, error) {
	if _, served := l.controller.backends[id.Backend]; !served {
		return nil, nil
	}
	at, err := policy.Open(id)
	if err != nil {
		return nil, unlessAbsent(err)
	}
	return []stop{{backend: id.Backend, place: at}}, nil
}

// places returns where a backend has volumes. Tenants that `auto` alone makes
// are not in the policy: the clusters are asked for them.
func (c *Controller) places(ctx context.Context, policy *tenant.Policy, b volume.Backend) (all []tenant.Place, err error) {
	for _, cluster := range policy.Clusters() {
		var found []string
		if policy.Auto() {
			pool, err := policy.Pool(cluster.ID)
			if err != nil {
				return nil, err
			}
			if found, err = c.backends[b].Tenants(ctx, pool); err != nil {
				return nil, fmt.Errorf("list the tenants of cluster %s: %w", cluster.ID, err)
			}
		}
		all = append(all, policy.PlacesIn(cluster, found)...)
	}
	return all, nil
}

// firstHash stands in a token for «from the start»: it sorts before every hash
// of a name but its own, which sha256 never gives in practice.
const firstHash = "00000000000000000000000000000000"

// tokenOf names the stop: the form of an ID whose hash is the last one that
// was listed.
func (l listing[T]) tokenOf(s stop) string {
	hash := s.after
	if hash == "" {
		hash = firstHash
	}
	return l.token(volume.ID{Backend: s.backend, Cluster: s.place.Cluster().ID, Tenant: s.place.Tenant(), Hash: hash})
}

func badToken(token string) error {
	return fmt.Errorf("list token %.128q is not one of this list, or its tenant has gone: begin again without a token: %w", token, volume.ErrBadToken)
}
