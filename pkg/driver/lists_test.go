package driver_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// pages collects a list page by page, and fails where a page is too long.
func pages(t *testing.T, limit int32, page func(token string, limit int32) (ids []string, next string, err error)) (all []string) {
	t.Helper()
	for token, calls := "", 0; ; calls++ {
		ids, next, err := page(token, limit)
		if err != nil {
			t.Fatal(err)
		}
		if limit > 0 && len(ids) > int(limit) {
			t.Fatalf("a page of %d has %d entries", limit, len(ids))
		}
		if all = append(all, ids...); next == "" {
			return all
		}
		if token = next; len(token) > 128 || calls > 1000 {
			t.Fatalf("call %d gives token %q", calls, token)
		}
	}
}

func (r *rig) volumesPage(t *testing.T) func(string, int32) ([]string, string, error) {
	return func(token string, limit int32) (ids []string, next string, err error) {
		got, err := r.ListVolumes(t.Context(), &csi.ListVolumesRequest{StartingToken: token, MaxEntries: limit})
		for _, e := range got.GetEntries() {
			ids = append(ids, e.GetVolume().GetVolumeId())
		}
		return ids, got.GetNextToken(), err
	}
}

func (r *rig) snapshotsPage(t *testing.T, source string) func(string, int32) ([]string, string, error) {
	return func(token string, limit int32) (ids []string, next string, err error) {
		got, err := r.ListSnapshots(t.Context(), &csi.ListSnapshotsRequest{StartingToken: token, MaxEntries: limit, SourceVolumeId: source})
		for _, e := range got.GetEntries() {
			ids = append(ids, e.GetSnapshot().GetSnapshotId())
		}
		return ids, got.GetNextToken(), err
	}
}

// A list gives every entry once, whatever the size of its pages.
func TestLists(t *testing.T) {
	r := newRig(t)
	var volumes, snapshots, ofFirst []string
	for i := range 7 {
		for _, namespace := range []string{"acme-prod", "public"} {
			req := blank(fmt.Sprintf("v%d", i))
			req.Parameters[namespaceKey] = namespace
			volumes = append(volumes, r.create(t, req).GetVolumeId())
		}
	}
	for i := range 12 {
		source := volumes[i%3]
		id := r.snapshot(t, fmt.Sprintf("s%d", i), source).GetSnapshotId()
		if snapshots = append(snapshots, id); i%3 == 0 {
			ofFirst = append(ofFirst, id)
		}
	}
	// One that is not finished is not listed, and does not end the list.
	at := r.place(t, "acme-prod")
	if err := r.ceph.CreateRecord(t.Context(), at, "vol.00000000000000000000000000000001", []byte(`{"v":1,"state":"creating"}`)); err != nil {
		t.Fatal(err)
	}
	slices.Sort(volumes)
	slices.Sort(snapshots)
	slices.Sort(ofFirst)
	for _, limit := range []int32{0, 1, 2, 3, 5, 7, 14, 100} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			if got := pages(t, limit, r.volumesPage(t)); !slices.Equal(slices.Sorted(slices.Values(got)), volumes) {
				t.Errorf("volumes:\n%s", strings.Join(got, "\n"))
			}
			if got := pages(t, limit, r.snapshotsPage(t, "")); !slices.Equal(slices.Sorted(slices.Values(got)), snapshots) {
				t.Errorf("snapshots:\n%s", strings.Join(got, "\n"))
			}
			if got := pages(t, limit, r.snapshotsPage(t, volume.NewID(volume.RBD, "main", "acme", "v0").String())); !slices.Equal(slices.Sorted(slices.Values(got)), ofFirst) {
				t.Errorf("snapshots of the first volume:\n%s", strings.Join(got, "\n"))
			}
		})
	}
}

// An entry that was deleted after its page does not disturb the next one.
func TestListAfterADeletion(t *testing.T) {
	r := newRig(t)
	for i := range 5 {
		r.create(t, blank(fmt.Sprintf("v%d", i)))
	}
	page := r.volumesPage(t)
	first, token, err := page("", 2)
	if err != nil || len(first) != 2 {
		t.Fatal(first, err)
	}
	for _, id := range first {
		if _, err := r.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: id}); err != nil {
			t.Fatal(err)
		}
	}
	if rest, _, err := page(token, 100); err != nil || len(rest) != 3 {
		t.Errorf("the rest is %v, %v", rest, err)
	}
}

func TestListRefuses(t *testing.T) {
	r := newRig(t, rbdOnly)
	v := r.create(t, blank("one")).GetVolumeId()
	s := r.snapshot(t, "snap", v).GetSnapshotId()
	for name, tc := range map[string]struct {
		token string
		limit int32
		code  codes.Code
	}{
		"negative limit":    {limit: -1, code: codes.InvalidArgument},
		"a word":            {token: "invalid-token", code: codes.Aborted},
		"a gone tenant":     {token: "sdp1.rbd.main.nobody." + someHash, code: codes.Aborted},
		"a gone cluster":    {token: "sdp1.rbd.other.acme." + someHash, code: codes.Aborted},
		"a backend not had": {token: "sdp1.cephfs.main.acme." + someHash, code: codes.Aborted},
		"endless":           {token: strings.Repeat("t", 1<<20), code: codes.Aborted},
		"NUL":               {token: "\x00", code: codes.Aborted},
		"the other list's":  {token: s, code: codes.Aborted},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.ListVolumes(t.Context(), &csi.ListVolumesRequest{StartingToken: tc.token, MaxEntries: tc.limit})
			wantCode(t, err, tc.code)
			token := tc.token
			if token == s {
				token = v
			}
			_, err = r.ListSnapshots(t.Context(), &csi.ListSnapshotsRequest{StartingToken: token, MaxEntries: tc.limit})
			wantCode(t, err, tc.code)
		})
	}
}

// A filter that matches nothing gives an empty list, not an error.
func TestListSnapshotsFilters(t *testing.T) {
	r := newRig(t)
	v, w := r.create(t, blank("v")).GetVolumeId(), r.create(t, blank("w")).GetVolumeId()
	s := r.snapshot(t, "snap", v).GetSnapshotId()
	for name, tc := range map[string]struct {
		snapshot, source string
		want             int
	}{
		"the snapshot":           {snapshot: s, want: 1},
		"the source":             {source: v, want: 1},
		"both":                   {snapshot: s, source: v, want: 1},
		"another source":         {source: w},
		"of another source":      {snapshot: s, source: w},
		"no such snapshot":       {snapshot: "sdp1s.rbd.main.acme." + someHash},
		"foreign snapshot":       {snapshot: "none-1"},
		"foreign source":         {source: "none-1"},
		"a source of no tenant":  {source: "sdp1.rbd.main.nobody." + someHash},
		"a source not here":      {source: "sdp1.cephfs.main.acme." + someHash},
		"a snapshot for a souce": {source: s},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := r.ListSnapshots(t.Context(), &csi.ListSnapshotsRequest{SnapshotId: tc.snapshot, SourceVolumeId: tc.source})
			wantCode(t, err, codes.OK)
			if len(got.GetEntries()) != tc.want || got.GetNextToken() != "" {
				t.Errorf("answer %v, want %d entries", got, tc.want)
			}
		})
	}
}

// A tenant that the policy's `auto` alone makes is listed too, in pages, and
// one that the policy does not know is not.
func TestListsAutoTenants(t *testing.T) {
	r := newRig(t)
	r.edit(t, "tenants:", "auto: true\ntenants:")
	var want []string
	for _, namespace := range []string{"acme-prod", "zeta", "beta"} {
		at, err := r.policy.Load().Admit(namespace, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := r.ceph.MakeNamespace(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			req := blank(fmt.Sprintf("v%d", i))
			req.Parameters[namespaceKey] = namespace
			want = append(want, r.create(t, req).GetVolumeId())
		}
	}
	slices.Sort(want)
	for _, limit := range []int32{0, 1, 4} {
		if got := pages(t, limit, r.volumesPage(t)); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
			t.Errorf("limit %d:\n%s", limit, strings.Join(got, "\n"))
		}
	}
	r.edit(t, "", "")
	if got := pages(t, 0, r.volumesPage(t)); len(got) != 3 {
		t.Errorf("without auto: %d volumes, want those of the one tenant of the policy", len(got))
	}
}
