//go:build e2e

package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/sdp-csi/sdp-csi/tests/cluster"
)

// modelBytes is the size of the golden that functions read: large against what
// mounting reads, small against what two busy cores read in a minute.
const modelBytes = 64 << 20

// tenants are two, acme and globex, with a namespace each, and a third, public,
// that shares goldens with acme alone.
const tenants = `- {name: acme, namespaces: [acme], goldens: ["public/*"], inline: true}
- {name: globex, namespaces: [globex], limits: {largest: 10Gi}}
- {name: public, readOnlyNodes: true}
`

// scene is the cluster with the driver installed and goldens of one model.
type scene struct {
	*cluster.Site
	file  string // the goldens' model.h5
	model string // its sha256
}

// newScene installs everything, as an administrator does.
func newScene(t *testing.T) *scene {
	s := &scene{Site: cluster.NewSite(t, tenants)}
	cluster.Apply(t, cluster.Namespace("acme"), cluster.Namespace("globex"))
	s.Install(t)
	cluster.Apply(t, classes()...)
	s.makeModel(t)
	s.WaitForTenants(t, "acme", "globex", "public")
	s.Seed(t, s.goldens()...)
	s.WaitForKeys(t, "acme", s.goldens()...)
	return s
}

// goldens are those of the scene.
func (s *scene) goldens() []cluster.Golden {
	return []cluster.Golden{
		{Tenant: "acme", Name: "resnet50:v1", Backend: "rbd", File: s.file},
		{Tenant: "acme", Name: "once:v1", Backend: "rbd", File: s.file},  // read by the test of sharing alone
		{Tenant: "acme", Name: "timed:v1", Backend: "rbd", File: s.file}, // read by the test of timing alone
		{Tenant: "acme", Name: "resnet50-fs:v1", Backend: "cephfs", File: s.file},
		{Tenant: "public", Name: "resnet50:v2", Backend: "rbd", File: s.file},
	}
}

func (*scene) must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// makeModel writes the file that every golden of the tests has.
func (s *scene) makeModel(t testing.TB) {
	t.Helper()
	model := make([]byte, modelBytes)
	_, _ = rand.Read(model)
	sum := sha256.Sum256(model)
	s.model = hex.EncodeToString(sum[:])
	s.file = filepath.Join(t.TempDir(), "model.h5")
	s.must(t, os.WriteFile(s.file, model, 0o644))
}
