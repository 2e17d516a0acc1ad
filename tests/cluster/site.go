package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

const (
	// DriverName is the driver's, as Kubernetes knows it.
	DriverName = "csi.sdp.dev"
	// DriverNamespace is where deploy/kubernetes puts it.
	DriverNamespace = "sdp-csi"
	// importPatience bounds sdpctl, which writes a golden and reads it back.
	importPatience = 10 * time.Minute
)

// Site is a Kubernetes and a Ceph that belong together.
type Site struct {
	Ceph *realceph.Ceph
	Pool string
	// Tenants are the policy file's rows of tenants.
	Tenants string
	// Kustomization is what this site says beside the overlay dev: patches.
	Kustomization string

	operator  string // sdpctl's policy file
	installed string // the directory that Install applied
}

// Golden is a golden that a site seeds.
type Golden struct {
	Tenant, Name string // resnet50:v1
	Backend      string
	File         string
}

// NewSite returns the site of a test, with a pool of its own. The driver is not
// installed yet.
func NewSite(t *testing.T, tenants string) *Site {
	t.Helper()
	s := &Site{Ceph: realceph.New(t), Tenants: tenants}
	s.Pool = s.Ceph.Pool()
	s.operator = filepath.Join(t.TempDir(), "operator.yaml")
	write(t, s.operator, s.policy("admin", s.Ceph.KeyFile(s.Ceph.AdminKey())))
	t.Cleanup(s.removeUsers)
	return s
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// policy is the policy file for a user of Ceph.
func (s *Site) policy(user, keyFile string) string {
	return fmt.Sprintf(`clusters:
- {id: test, monitors: ["%s"], pool: %s, fileSystem: cephfs, user: %s, keyFile: %s}
tenants:
%s`,
		strings.Join(s.Ceph.Monitors(), `", "`), s.Pool, user, keyFile, s.Tenants)
}

// removeUsers lets the next site have the same tenants: users are the cluster's,
// not the pool's.
func (s *Site) removeUsers() {
	for line := range strings.Lines(s.Ceph.Admin("auth", "ls")) {
		if user := strings.TrimSpace(line); strings.HasPrefix(user, "client.sdp.") {
			s.Ceph.Admin("auth", "rm", user)
		}
	}
}

// Seed imports goldens. Their tenants must have made themselves.
func (s *Site) Seed(t testing.TB, goldens ...Golden) {
	t.Helper()
	for _, g := range goldens {
		s.Sdpctl(t, "golden", "import", "--tenant", g.Tenant, "--backend", g.Backend, g.Name, g.File)
	}
}

// WaitForTenants waits until tenants have made themselves.
func (s *Site) WaitForTenants(t testing.TB, tenants ...string) {
	t.Helper()
	Eventually(t, "the tenants", func() error {
		if all := s.Ceph.RBD("namespace", "ls", s.Pool); !HasAll(all, tenants) {
			return fmt.Errorf("%w: there are %s", ErrNotYet, all)
		}
		return nil
	})
}

// WaitForKeys waits until the nodes of a tenant have goldens' keys.
func (s *Site) WaitForKeys(t testing.TB, tenant string, goldens ...Golden) {
	t.Helper()
	keys := make([]string, len(goldens))
	for i, g := range goldens {
		keys[i] = "golden." + g.Tenant + "." + strings.Replace(g.Name, ":", ".", 1)
	}
	Eventually(t, "the goldens' keys", func() error {
		secret, err := Try("-n", DriverNamespace, "get", "secret", "sdp-node-"+tenant, "-o", "jsonpath={.data}")
		if err == nil && !HasAll(secret, keys) {
			err = fmt.Errorf("%w: the Secret of %s lacks some of %v", ErrNotYet, tenant, keys)
		}
		return err
	})
}

// Sdpctl runs the operator's program, which must succeed.
func (s *Site) Sdpctl(t testing.TB, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), importPatience)
	defer cancel()
	out, err := s.TrySdpctl(ctx, Path(t, "bin/sdpctl"), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TrySdpctl runs the operator's program, which is killed when ctx ends.
func (s *Site) TrySdpctl(ctx context.Context, program string, args ...string) (string, error) {
	return Run(ctx, "", program, append([]string{"--config", s.operator}, args...)...)
}

// Path returns where a file of the repository is: tests run in directories of
// theirs.
func Path(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, name)
		}
	}
	t.Fatal("the tests do not run in the repository")
	return ""
}
