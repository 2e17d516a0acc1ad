package tenant

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

const acmeOnly = onePool + "tenants:\n- name: acme\n  namespaces: [acme]\n"

// configMap is a directory as the kubelet shows a ConfigMap: the file is a
// symbolic link through ..data, which an edit swaps.
type configMap struct {
	t    *testing.T
	dir  string
	edit int
}

func (m *configMap) path() string { return filepath.Join(m.dir, "policy.yaml") }

func (m *configMap) write(text string) {
	m.t.Helper()
	m.edit++
	version := filepath.Join(m.dir, "..v"+string(rune('0'+m.edit)))
	must(m.t, os.Mkdir(version, 0o755))
	must(m.t, os.WriteFile(filepath.Join(version, "policy.yaml"), []byte(text), 0o600))
	must(m.t, os.Symlink(version, filepath.Join(m.dir, "..new")))
	must(m.t, os.Rename(filepath.Join(m.dir, "..new"), filepath.Join(m.dir, "..data")))
	if m.edit == 1 {
		must(m.t, os.Symlink("..data/policy.yaml", m.path()))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSourceWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &configMap{t: t, dir: t.TempDir()}
		m.write(acmeOnly)
		s, err := OpenSource(m.path(), nil)
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		reports := make(chan error, 9)
		go s.Watch(ctx, time.Second, func(err error) { reports <- err })
		step := func(text string) (got []error) {
			if text != "" {
				m.write(text)
			}
			time.Sleep(5 * time.Second)
			synctest.Wait()
			for len(reports) > 0 {
				got = append(got, <-reports)
			}
			return got
		}
		if got := step(""); len(got) != 0 {
			t.Errorf("no edit: reports %v", got)
		}
		if got := step(acmeOnly + "auto: true\n"); len(got) != 1 || got[0] != nil || !s.Policy().Auto() {
			t.Errorf("good edit: reports %v, auto %t", got, s.Policy().Auto())
		}
		if got := step(acmeOnly + "color: red\n"); len(got) != 1 || !errors.Is(got[0], volume.ErrInvalid) || !s.Policy().Auto() {
			t.Errorf("bad edit: reports %v, auto %t", got, s.Policy().Auto())
		}
		if got := step(acmeOnly + "auto: true\n"); len(got) != 1 || got[0] != nil {
			t.Errorf("edit taken back: reports %v", got)
		}
		if got := step(acmeOnly); len(got) != 1 || got[0] != nil || s.Policy().Auto() {
			t.Errorf("another good edit: reports %v, auto %t", got, s.Policy().Auto())
		}
		must(t, os.Remove(m.path()))
		if got := step(""); len(got) != 1 || !errors.Is(got[0], os.ErrNotExist) || len(s.Policy().Tenants()) != 1 {
			t.Errorf("file gone: reports %v", got)
		}
	})
}

func TestOpenSourceRefusesBadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	must(t, os.WriteFile(path, []byte("color: red\n"), 0o600))
	if _, err := OpenSource(path, nil); !errors.Is(err, volume.ErrInvalid) {
		t.Errorf("OpenSource: %v, want volume.ErrInvalid", err)
	}
}

func TestKeepsClusters(t *testing.T) {
	const two = onePool + "- id: other\n  monitors: [\"10.0.0.2:3300\"]\n  pool: rbd\n"
	const moved = "clusters:\n- id: main\n  monitors: [\"10.0.0.1:3300\"]\n  pool: elsewhere\n- id: other\n  monitors: [\"10.0.0.2:3300\"]\n  pool: rbd\n"
	broken := errors.New("no answer")
	tests := map[string]struct {
		next  string
		found bool
		err   error
		want  error
	}{
		"same rows, full":     {two, true, nil, nil},
		"row gone, full":      {onePool, true, nil, volume.ErrInUse},
		"row gone, empty":     {onePool, false, nil, nil},
		"row gone, no answer": {onePool, false, broken, broken},
		"pool changed, full":  {moved, true, nil, volume.ErrInUse},
		"pool changed, empty": {moved, false, nil, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "policy.yaml")
			must(t, os.WriteFile(path, []byte(two), 0o600))
			s, err := OpenSource(path, KeepsClusters(func(context.Context, Place) (bool, error) { return tt.found, tt.err }))
			must(t, err)
			must(t, os.WriteFile(path, []byte(tt.next), 0o600))
			before := s.Policy()
			changed, err := s.Reload(t.Context())
			if !errors.Is(err, tt.want) || (tt.want != nil && (changed || s.Policy() != before)) {
				t.Errorf("Reload = %t, %v; want %v", changed, err, tt.want)
			}
		})
	}
}
