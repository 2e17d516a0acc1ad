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
	l := listing[volume.Volume]{controller: c, page: Backend.List}
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
	l := listing[volume.Snapshot]{controller: c, page: Backend.ListSnapshots}
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
	only       *volume.ID   // lists the place of this ID only
	keep       func(T) bool // nil: all
}

// stop is where a list goes on: a backend's place, after a hash.
type stop struct {
	backend volume.Backend
	place   tenant.Place
	after   string
}

// chunk is how many names a call without a limit reads at once.
const chunk = 500

func (l listing[T]) list(ctx context.Context, token string, limit int32) (all []T, next string, err error) {
	if limit < 0 {
		return nil, "", fmt.Errorf("max_entries is %d: %w", limit, volume.ErrInvalid)
	}
	stops, err := l.from(token)
	if err != nil {
		return nil, "", err
	}
	for i := 0; i < len(stops); {
		size := chunk
		if limit > 0 {
			size = int(limit) - len(all)
		}
		if size == 0 {
			return all, stops[i].token(), nil
		}
		found, last, err := l.page(l.controller.backends[stops[i].backend], ctx, stops[i].place, stops[i].after, size)
		if err != nil {
			return nil, "", err
		}
		all = l.collect(all, found)
		if stops[i].after = last; last == "" {
			i++
		}
	}
	return all, "", nil
}

func (l listing[T]) collect(all, found []T) []T {
	for _, one := range found {
		if l.keep == nil || l.keep(one) {
			all = append(all, one)
		}
	}
	return all
}

// from returns the stops of a list, from the token's on.
func (l listing[T]) from(token string) ([]stop, error) {
	all := l.stops()
	if token == "" {
		return all, nil
	}
	at, err := parseToken(token)
	if err != nil {
		return nil, err
	}
	for i, s := range all {
		if s.backend == at.Backend && s.place.Cluster().ID == at.Cluster && s.place.Tenant() == at.Tenant {
			all[i].after = at.Hash
			return all[i:], nil
		}
	}
	return nil, badToken(token)
}

func (l listing[T]) stops() []stop {
	policy := l.controller.policy()
	places := policy.Places()
	if l.only != nil {
		at, err := policy.Open(*l.only)
		if err != nil {
			return nil
		}
		places = []tenant.Place{at}
	}
	var all []stop
	for _, b := range l.controller.kinds() {
		if l.only != nil && l.only.Backend != b {
			continue
		}
		for _, p := range places {
			all = append(all, stop{backend: b, place: p})
		}
	}
	return all
}

// firstHash stands in a token for «from the start»: it sorts before every hash
// of a name but its own, which sha256 never gives in practice.
const firstHash = "00000000000000000000000000000000"

// token names the stop: the form of a volume ID whose hash is the last one
// that was listed.
func (s stop) token() string {
	hash := s.after
	if hash == "" {
		hash = firstHash
	}
	return volume.ID{Backend: s.backend, Cluster: s.place.Cluster().ID, Tenant: s.place.Tenant(), Hash: hash}.String()
}

func parseToken(token string) (volume.ID, error) {
	id, err := volume.ParseID(token)
	if err != nil {
		return volume.ID{}, badToken(token)
	}
	return id, nil
}

func badToken(token string) error {
	return fmt.Errorf("list token %.128q is not one of this driver, or its tenant has gone: begin again without a token: %w", token, volume.ErrBadToken)
}
