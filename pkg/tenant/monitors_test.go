package tenant

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func TestParseMonitors(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want []string // nil: refused
	}{
		"one":          {"a=10.0.0.1:3300", []string{"10.0.0.1:3300"}},
		"old ports":    {"b=10.0.0.2:6789,a=10.0.0.1:6789\n", []string{"10.0.0.2:3300", "10.0.0.1:3300"}},
		"another port": {"a=10.0.0.1:7000", []string{"10.0.0.1:7000"}},
		"IPv6":         {"a=[fd00::1]:6789", []string{"[fd00::1]:3300"}},
		"empty":        {"", nil},
		"no name":      {"10.0.0.1:3300", nil},
		"no address":   {"a=monitor:3300", nil},
		"half":         {"a=10.0.0.1:3300,", nil},
	} {
		got, err := parseMonitors(tc.text)
		if !slices.Equal(got, tc.want) || (tc.want == nil) != errors.Is(err, volume.ErrInvalid) {
			t.Errorf("%s: %q, %v; want %q", name, got, err, tc.want)
		}
	}
}

// A row's file of monitors is followed like the policy itself.
func TestMonitorsFile(t *testing.T) {
	dir := t.TempDir()
	policy, monitors := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "monitors")
	must(t, os.WriteFile(policy, []byte("clusters: [{id: main, monitorsFile: "+monitors+", pool: rbd}]\n"), 0o600))
	if _, err := OpenSource(policy, nil); !errors.Is(err, volume.ErrUnavailable) {
		t.Fatalf("without the file: %v", err)
	}
	must(t, os.WriteFile(monitors, []byte("a=10.0.0.1:6789"), 0o600))
	s, err := OpenSource(policy, nil)
	must(t, err)
	for _, step := range []struct {
		text    string
		changed bool
		want    string
	}{
		{"a=10.0.0.1:6789", false, "10.0.0.1:3300"},
		{"d=10.0.0.4:6789", true, "10.0.0.4:3300"},
		{"nothing", false, "10.0.0.4:3300"},
	} {
		must(t, os.WriteFile(monitors, []byte(step.text), 0o600))
		changed, err := s.Reload(t.Context())
		if got := s.Policy().Clusters()[0].Monitors; changed != step.changed || got[0] != step.want || len(got) != 1 {
			t.Errorf("%s: changed %t, %q, %v", step.text, changed, got, err)
		}
	}
	loaded, err := Load(policy)
	if !errors.Is(err, volume.ErrInvalid) {
		t.Errorf("a bad file: %v, %v", loaded, err)
	}
}
