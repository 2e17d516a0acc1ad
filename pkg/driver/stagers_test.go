package driver_test

import (
	"context"
	"errors"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/driver"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// backendStager notes which verbs it was asked for.
type backendStager struct {
	limit int64
	asked []string
}

func (s *backendStager) note(verb string) error { s.asked = append(s.asked, verb); return nil }

func (s *backendStager) Stage(context.Context, tenant.Place, volume.Stage) error {
	return s.note("stage")
}
func (s *backendStager) Unstage(context.Context, tenant.Place, volume.ID, string) error {
	return s.note("unstage")
}
func (s *backendStager) Expand(context.Context, tenant.Place, volume.ID, string) error {
	return s.note("expand")
}
func (s *backendStager) Shown(context.Context, tenant.Place, volume.ID, string) error {
	return s.note("shown")
}
func (s *backendStager) Limit() int64 { return s.limit }

// A volume's ID says which stager is asked, and one that nobody serves is no
// success, for removals neither.
func TestStagers(t *testing.T) {
	images, files := &backendStager{}, &backendStager{}
	all := driver.Stagers{volume.RBD: images, volume.CephFS: files}
	for backend, want := range map[volume.Backend]*backendStager{volume.RBD: images, volume.CephFS: files, "nfs": nil} {
		id := volume.ID{Backend: backend, Cluster: "main", Tenant: "acme", Hash: someHash}
		for verb, do := range map[string]func() error{
			"stage":   func() error { return all.Stage(t.Context(), tenant.Place{}, volume.Stage{ID: id}) },
			"unstage": func() error { return all.Unstage(t.Context(), tenant.Place{}, id, "/s") },
			"expand":  func() error { return all.Expand(t.Context(), tenant.Place{}, id, "/s") },
			"shown":   func() error { return all.Shown(t.Context(), tenant.Place{}, id, "") },
		} {
			images.asked, files.asked = nil, nil
			err := do()
			if want == nil {
				if !errors.Is(err, volume.ErrUnsupported) {
					t.Errorf("%s of backend %s: %v", verb, backend, err)
				}
				continue
			}
			if err != nil || len(images.asked)+len(files.asked) != 1 || len(want.asked) != 1 || want.asked[0] != verb {
				t.Errorf("%s of backend %s: %v, asked %v and %v", verb, backend, err, images.asked, files.asked)
			}
		}
	}
}

func TestStagersLimit(t *testing.T) {
	for want, limits := range map[int64][2]int64{0: {0, 0}, 7: {7, 0}, 8: {0, 8}, 3: {3, 9}} {
		all := driver.Stagers{volume.RBD: &backendStager{limit: limits[0]}, volume.CephFS: &backendStager{limit: limits[1]}}
		if got := all.Limit(); got != want {
			t.Errorf("limit %d of %v, want %d", got, limits, want)
		}
	}
}
