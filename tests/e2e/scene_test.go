//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

const (
	driverName      = "csi.sdp.dev"
	driverNamespace = "sdp-csi"
	// modelBytes is the size of the golden that functions read: large against
	// what mounting reads, small against what two busy cores read in a minute.
	modelBytes = 64 << 20
	// importPatience bounds sdpctl, which writes a golden and reads it back.
	importPatience = 10 * time.Minute
)

// scene is the cluster with the driver installed: two tenants, acme and globex,
// with a namespace each, and a third, public, that shares goldens with acme
// alone.
type scene struct {
	ceph     *realceph.Ceph
	pool     string
	operator string // sdpctl's policy file
	file     string // the goldens' model.h5
	model    string // its sha256
}

// goldens are those of the scene, all of one model, with their tenants.
func goldens() map[string]string {
	return map[string]string{
		"resnet50:v1":    "acme",
		"once:v1":        "acme", // read by the test of sharing alone
		"timed:v1":       "acme", // read by the test of timing alone
		"resnet50-fs:v1": "acme", // in CephFS
		"resnet50:v2":    "public",
	}
}

// newScene installs everything, as an administrator does.
func newScene(t *testing.T) *scene {
	s := &scene{ceph: realceph.New(t)}
	s.pool = s.ceph.Pool()
	s.operator = filepath.Join(t.TempDir(), "operator.yaml")
	admin := s.ceph.KeyFile(s.ceph.AdminKey())
	s.must(t, os.WriteFile(s.operator, []byte(s.policy("admin", admin)), 0o600))
	t.Cleanup(func() { s.removeUsers(t) })
	apply(t, namespace("acme"), namespace("globex"))
	s.install(t)
	s.makeModel(t)
	s.seed(t)
	return s
}

func (*scene) must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// policy is the policy file for a user of Ceph.
func (s *scene) policy(user, keyFile string) string {
	return fmt.Sprintf(`clusters:
- {id: test, monitors: ["%s"], pool: %s, fileSystem: cephfs, user: %s, keyFile: %s}
tenants:
- {name: acme, namespaces: [acme], goldens: ["public/*"], inline: true}
- {name: globex, namespaces: [globex], limits: {largest: 10Gi}}
- {name: public, readOnlyNodes: true}
`, strings.Join(s.ceph.Monitors(), `", "`), s.pool, user, keyFile)
}

// removeUsers lets the next scene have the same tenants: users are the
// cluster's, not the pool's.
func (s *scene) removeUsers(t testing.TB) {
	t.Helper()
	for line := range strings.Lines(s.ceph.Admin("auth", "ls")) {
		if user := strings.TrimSpace(line); strings.HasPrefix(user, "client.sdp.") {
			s.ceph.Admin("auth", "rm", user)
		}
	}
}

// install applies deploy/kubernetes as it is, with this site's policy and keys,
// and waits until it serves.
func (s *scene) install(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"config.yaml": s.policy("sdp", "/etc/sdp-csi/key"),
		"controller":  s.controllerKey(),
		"tenants":     s.tenantsKey(),
		"kustomization.yaml": `namespace: ` + driverNamespace + `
resources: [kubernetes/overlays/dev, kubernetes/classes]
configMapGenerator: [{name: sdp-config, behavior: replace, files: [config.yaml]}]
generatorOptions: {disableNameSuffixHash: true}
secretGenerator: [{name: sdp-controller-key, files: [key=controller]}, {name: sdp-tenants-key, files: [key=tenants]}]
`,
	}
	for name, text := range files {
		s.must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	s.must(t, os.CopyFS(filepath.Join(dir, "kubernetes"), os.DirFS("../../deploy/kubernetes")))
	t.Cleanup(func() { kubectl(t, "delete", "--ignore-not-found", "-k", dir) })
	kubectl(t, "apply", "-k", dir)
	apply(t, classes()...)
	s.waitForDriver(t)
}

// controllerKey makes the controller's user, with what docs/guides/cephfs.md
// gives it.
func (s *scene) controllerKey() string {
	return s.ceph.User("sdp",
		"mon", `profile rbd, allow r, allow command "auth get-or-create" with entity prefix "client.sdpfs.", allow command "auth rm" with entity prefix "client.sdpfs."`,
		"mgr", "allow module volumes rw",
		"mds", "allow rw fsname=cephfs",
		"osd", "profile rbd pool="+s.pool+", allow rw tag cephfs data=cephfs")
}

// tenantsKey makes the user of --mode=tenants, which makes users.
func (s *scene) tenantsKey() string {
	return s.ceph.User("sdp-tenants",
		"mon", "allow *",
		"mgr", "allow module volumes rw",
		"mds", "allow rwp fsname=cephfs",
		"osd", "profile rbd pool="+s.pool+", allow rw tag cephfs data=cephfs")
}

// seed imports the goldens once their tenants have made themselves, and waits
// until the tenants' nodes have the goldens' keys.
func (s *scene) seed(t *testing.T) {
	eventually(t, "the tenants", func() error {
		if all := s.ceph.RBD("namespace", "ls", s.pool); !hasAll(all, []string{"acme", "globex", "public"}) {
			return fmt.Errorf("%w: there are %s", errNotYet, all)
		}
		return nil
	})
	var keys []string
	for name, owner := range goldens() {
		backend := "rbd"
		if strings.Contains(name, "-fs") {
			backend = "cephfs"
		}
		s.sdpctl(t, "golden", "import", "--tenant", owner, "--backend", backend, name, s.file)
		keys = append(keys, "golden."+owner+"."+strings.Replace(name, ":", ".", 1))
	}
	eventually(t, "the goldens' keys", func() error {
		secret, err := try("-n", driverNamespace, "get", "secret", "sdp-node-acme", "-o", "jsonpath={.data}")
		if err == nil && !hasAll(secret, keys) {
			err = errNotYet
		}
		return err
	})
}

// waitForDriver waits until every pod of the driver is ready and the kubelet
// has the driver.
func (s *scene) waitForDriver(t testing.TB) {
	t.Helper()
	eventually(t, "the driver's pods", func() error {
		counts, err := try("-n", driverNamespace, "get", "deployments,daemonsets", "-o",
			`jsonpath={range .items[*]}{.metadata.name} {.spec.replicas}{.status.desiredNumberScheduled} {.status.readyReplicas}{.status.numberReady}{"\n"}{end}`)
		if err != nil {
			return err
		}
		for line := range strings.Lines(counts) {
			if f := strings.Fields(line); len(f) != 3 || f[1] != f[2] {
				return fmt.Errorf("%w: wanted and ready are\n%s", errNotYet, counts)
			}
		}
		return nil
	})
	eventually(t, "registration", func() error {
		drivers, err := try("get", "csinode", "-o", "jsonpath={.items[*].spec.drivers[*].name}")
		if err == nil && !strings.Contains(drivers, driverName) {
			err = errNotYet
		}
		return err
	})
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

// sdpctl runs the operator's program, which must succeed.
func (s *scene) sdpctl(t testing.TB, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), importPatience)
	defer cancel()
	out, err := run(ctx, "", sdpctl(), append([]string{"--config", s.operator}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sdpctl is where `make build` put it.
func sdpctl() string {
	if path, err := exec.LookPath("../../bin/sdpctl"); err == nil {
		return path
	}
	return "sdpctl"
}
