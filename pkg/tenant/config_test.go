package tenant

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

const goodPolicy = `clusters:
- id: main
  monitors: ["10.0.0.1:3300", "[fd00::1]:3300"]
  pool: rbd
  dataPool: rbd-data
  user: sdp
  keyFile: /etc/sdp/key
tenants:
- name: acme
  namespaces: [acme, acme-*]
  goldens: [public/resnet50:v1]
  limits: {volumes: 3, bytes: 10Gi, largest: 4Gi}
- name: public
  namespaces: []
  readOnlyNodes: true
defaults:
  limits: {volumes: 100}
  goldens: [public/base:*]
`

func mustParse(t *testing.T, text string) *Policy {
	t.Helper()
	p, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestParseRefuses holds every rule to its line and its reason.
func TestParseRefuses(t *testing.T) {
	const cluster = "clusters:\n- id: main\n  monitors: [\"10.0.0.1:3300\"]\n  pool: rbd\n"
	tests := map[string]struct {
		text string
		want []string
	}{
		"empty":                      {"", []string{"line 1", "empty"}},
		"comment only":               {"# nothing\n", []string{"line 1"}},
		"no YAML":                    {"clusters: [", []string{"line 1"}},
		"a list":                     {"- a\n", []string{"line 1"}},
		"no clusters":                {"tenants: []\n", []string{"line 1", "at least one"}},
		"unknown key at the top":     {cluster + "tenant: []\n", []string{"line 5", "tenant"}},
		"unknown key in a cluster":   {cluster + "  color: red\n", []string{"line 5", "color"}},
		"unknown key in a tenant":    {cluster + "tenants:\n- name: a\n  limit: {}\n", []string{"line 7", "limit"}},
		"unknown limit":              {cluster + "tenants:\n- name: a\n  limits:\n    volume: 3\n", []string{"line 8", "volume"}},
		"key twice":                  {cluster + "  pool: other\n", []string{"line 5", "pool"}},
		"two documents":              {cluster + "---\nclusters: []\n", []string{"second document"}},
		"wrong kind":                 {cluster + "auto: maybe\n", []string{"line 5"}},
		"cluster's id":               {"clusters:\n- id: Main\n  monitors: [\"10.0.0.1:3300\"]\n  pool: rbd\n", []string{"line 2", "DNS label"}},
		"null cluster":               {"clusters:\n-\n", []string{"line 2"}},
		"cluster twice":              {cluster + "- id: main\n  monitors: [\"10.0.0.2:3300\"]\n  pool: rbd\n", []string{"line 5", "twice"}},
		"file system twice":          {strings.Replace(cluster, "pool: rbd", "pool: rbd\n  fileSystem: files", 1) + "- id: other\n  monitors: [\"10.0.0.1:3300\"]\n  pool: rbd2\n  fileSystem: files\n", []string{"line 9", "same fileSystem"}},
		"pool twice":                 {cluster + "- id: other\n  monitors: [\"10.0.0.1:3300\"]\n  pool: rbd\n", []string{"line 7", "same pool"}},
		"no monitors":                {"clusters:\n- id: main\n  pool: rbd\n", []string{"line 2", "monitors"}},
		"monitor by name":            {"clusters:\n- id: main\n  monitors:\n  - 10.0.0.1:3300\n  - ceph:3300\n  pool: rbd\n", []string{"line 5", "IP:PORT"}},
		"pool with a cap in it":      {"clusters:\n- id: main\n  monitors: [\"10.0.0.1:3300\"]\n  pool: 'rbd\" namespace'\n", []string{"line 4", "pool"}},
		"data pool":                  {cluster + "  dataPool: a b\n", []string{"line 5", "dataPool"}},
		"file system":                {cluster + "  fileSystem: a/b\n", []string{"line 5", "fileSystem"}},
		"tenant's name":              {cluster + "tenants:\n- name: acme.x\n", []string{"line 6", "DNS label"}},
		"null tenant":                {cluster + "tenants:\n-\n", []string{"line 6"}},
		"tenant twice":               {cluster + "tenants:\n- name: a\n- name: a\n", []string{"line 7", "twice"}},
		"namespace in other letters": {cluster + "tenants:\n- name: a\n  namespaces:\n  - a\n  - аcme\n", []string{"line 9", "DNS label"}},
		"namespace with a class":     {cluster + "tenants:\n- name: a\n  namespaces: [\"a[bc]\"]\n", []string{"line 7"}},
		"namespace too long":         {cluster + "tenants:\n- name: a\n  namespaces: [" + strings.Repeat("a", 64) + "]\n", []string{"line 7", "63"}},
		"namespace of two":           {cluster + "tenants:\n- name: a\n  namespaces: [x]\n- name: b\n  namespaces: [y, x]\n", []string{"line 9", "tenant a", "tenant b"}},
		"pattern of two":             {cluster + "tenants:\n- name: a\n  namespaces: [x-*]\n- name: b\n  namespaces: [x-*]\n", []string{"line 9", "tenant a", "tenant b"}},
		"golden":                     {cluster + "tenants:\n- name: a\n  goldens: [public/x:v1, public/*:v1]\n", []string{"line 7", "golden"}},
		"default golden":             {cluster + "defaults:\n  goldens: [x:v1]\n", []string{"line 6", "golden"}},
		"negative limit":             {cluster + "defaults:\n  limits: {volumes: -1}\n", []string{"line 6", "negative"}},
		"negative inline limit":      {cluster + "defaults:\n  limits: {inlinePerNode: -1}\n", []string{"line 6", "negative"}},
		"tenant's negative limit":    {cluster + "tenants:\n- name: a\n  limits: {bytes: -1Gi}\n", []string{"line 7", "negative"}},
		"bytes":                      {cluster + "defaults:\n  limits: {bytes: 10 GB}\n", []string{"line 6", "10 GB"}},
		"bytes beyond int64":         {cluster + "defaults:\n  limits: {bytes: 1e300Pi}\n", []string{"line 6", "1e300Pi"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(tt.text))
			if !errors.Is(err, volume.ErrInvalid) {
				t.Fatalf("Parse: %v, want one that is volume.ErrInvalid", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Parse: %v, want it to say %q", err, want)
				}
			}
		})
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte("clusters: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Load: %v, want the path in it", err)
	}
	if _, err := Load(path + ".gone"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Load: %v, want os.ErrNotExist", err)
	}
}

// FuzzParse checks that no file makes Parse panic, and that what it lets pass
// has names only that mean nothing to Ceph.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", goodPolicy, "clusters: &a [*a]", "a: !!binary x", "clusters:\n- id: \x00", "? {}\n: []", "tenants: {}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(data)
		if err != nil {
			if !errors.Is(err, volume.ErrInvalid) || p != nil {
				t.Fatalf("Parse(%q) = %v, %v", data, p, err)
			}
			return
		}
		for _, at := range p.Places() {
			if !volume.IsName(at.Tenant(), volume.MaxTenantName) || !isPool(at.Pool()) {
				t.Fatalf("Parse(%q) lets %s pass", data, at)
			}
		}
	})
}
