package tenants

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ceph/go-ceph/rados"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

// scene is a real Ceph with three tenants: A, B, whose name begins like A's,
// and one that shares goldens. Users are of the whole Ceph, so each scene's
// tenants have names of their own.
type scene struct {
	t       *testing.T
	ceph    *realceph.Ceph
	cluster *ceph.Cluster
	library *golden.Library
	row     string // of the cluster in the policy file

	a, b, public string // the tenants' names
	limits       string // of A, in YAML
	shares       string // the goldens that B may use, in YAML
	text         string // the policy file
	policy       *tenant.Policy
}

// granted and private are the public tenant's goldens. The first one's name
// is the beginning of the second one's.
const (
	granted = "model:v1"
	private = "model:v10"
)

// newScene returns a scene. Tests with scenes of their own run in parallel:
// most of their time they wait for Ceph.
func newScene(t *testing.T) *scene {
	t.Helper()
	t.Parallel()
	real := realceph.New(t)
	return newSceneIn(t, real, real.Cluster("test", real.Pool()))
}

// newSceneIn is newScene in a cluster of the policy file.
func newSceneIn(t *testing.T, real *realceph.Ceph, row string) *scene {
	t.Helper()
	mark := strings.ToLower(rand.Text()[:8])
	s := &scene{t: t, ceph: real, a: "a-" + mark, b: "a-" + mark + "-b", public: "p-" + mark, row: row}
	s.cluster = ceph.NewCluster(ceph.Options{})
	t.Cleanup(s.cluster.Close)
	t.Cleanup(s.removeUsers)
	s.library = golden.NewLibrary(s.cluster, golden.Options{})
	s.under(s.public + "/" + granted)
	for _, name := range []string{s.a, s.b, s.public} {
		s.patiently(func() error { _, err := s.registrar().Create(t.Context(), s.place(name)); return err })
	}
	return s
}

// patiently does something again while Ceph is busy: its one manager serves
// all tests.
func (s *scene) patiently(do func() error) {
	s.t.Helper()
	eventually(s.t, "Ceph answers", func() bool {
		err := do()
		if errors.Is(err, volume.ErrUnavailable) || errors.Is(err, volume.ErrPending) {
			return false
		}
		must(s.t, err)
		return true
	})
}

// second is another process's connection.
func (s *scene) second() *ceph.Cluster {
	c := ceph.NewCluster(ceph.Options{})
	s.t.Cleanup(c.Close)
	return c
}

// under puts a policy into force in which A may use the goldens.
func (s *scene) under(goldens ...string) {
	s.t.Helper()
	quoted := make([]string, len(goldens))
	for i, g := range goldens {
		quoted[i] = fmt.Sprintf("%q", g)
	}
	text := fmt.Sprintf("clusters: [%s]\ntenants:\n- {name: %s, namespaces: [%[2]s], goldens: [%s], limits: {%s}}\n- {name: %s, namespaces: [%[5]s], goldens: [%[7]s]}\n- {name: %[6]s, namespaces: [%[6]s]}\n",
		s.row, s.a, strings.Join(quoted, ", "), s.limits, s.b, s.public, s.shares)
	p, err := tenant.Parse([]byte(text))
	if err != nil {
		s.t.Fatalf("%v\n%s", err, text)
	}
	s.policy, s.text = p, text
}

func (s *scene) registrar() *tenant.Registrar {
	return tenant.NewRegistrar(s.policy, s.cluster, golden.NewCatalog(s.library, s.cluster), s.cluster)
}

func (s *scene) place(name string) tenant.Place {
	s.t.Helper()
	at, err := s.policy.Default(name, "")
	must(s.t, err)
	return at
}

// removeUsers removes what users the scene's tenants and goldens have. The
// pool goes by itself.
func (s *scene) removeUsers() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	users, err := s.cluster.Users(ctx, s.place(s.a))
	if err != nil {
		s.t.Error(err)
	}
	for _, u := range users {
		if u.Tenant != s.a && u.Tenant != s.b && u.Tenant != s.public {
			continue
		}
		if err := s.cluster.Remove(ctx, s.place(s.a), u); err != nil {
			s.t.Error(err)
		}
	}
}

// seed imports a golden with content of its own and gives who may read it
// their rights.
func (s *scene) seed(owner, ref string) volume.GoldenRef {
	s.t.Helper()
	parsed, err := volume.ParseGoldenRef(ref)
	must(s.t, err)
	dir := s.t.TempDir()
	must(s.t, os.WriteFile(filepath.Join(dir, "model"), bytes.Repeat([]byte(ref+"\n"), 1<<16), 0o600))
	_, err = s.library.Import(s.t.Context(), s.place(owner), parsed, golden.Import{Source: image.Source{Path: dir}})
	must(s.t, err)
	s.sync()
	parsed.Tenant = owner
	return parsed
}

func (s *scene) sync() []volume.GoldenRef {
	s.t.Helper()
	rotated, err := s.registrar().Sync(s.t.Context(), s.place(s.a))
	must(s.t, err)
	return rotated
}

// volume makes a volume of a tenant, blank or read-only from a golden, by the
// controller's means, and returns its image.
func (s *scene) volume(owner, name string, source volume.GoldenRef) string {
	s.t.Helper()
	at := s.place(owner)
	spec := volume.Spec{Name: name, Size: volume.Size{Required: 8 << 20}}
	var from tenant.Place
	if source != (volume.GoldenRef{}) {
		spec.ReadOnly, spec.Source = true, volume.Source{Golden: source}
		from = s.place(source.Tenant)
	}
	id := at.VolumeID(volume.RBD, name)
	_, err := rbd.NewProvisioner(s.cluster, s.library).Create(s.t.Context(), at, from, id, spec)
	must(s.t, err)
	return "vol." + id.Hash
}

// connect connects with a user's key as a node would, or as a thief.
func (s *scene) connect(c volume.Credentials) (*rados.Conn, error) {
	conn, err := rados.NewConnWithUser(c.User)
	must(s.t, err)
	for name, value := range map[string]string{
		"mon_host": "v2:" + strings.Join(s.ceph.Monitors(), ",v2:"), "key": c.Key.Reveal(), "client_mount_timeout": "30",
		"rados_mon_op_timeout": "30", "rados_osd_op_timeout": "30", "log_to_stderr": "false", "err_to_stderr": "false", "log_to_file": "false",
	} {
		must(s.t, conn.SetConfigOption(name, value))
	}
	return conn, conn.Connect()
}

// session is a connection that goes with the test.
func (s *scene) session(c volume.Credentials) *rados.Conn {
	s.t.Helper()
	conn, err := s.connect(c)
	must(s.t, err)
	s.t.Cleanup(conn.Shutdown)
	return conn
}

// in is a namespace of the scene's pool on a connection.
func (s *scene) in(conn *rados.Conn, namespace string) *rados.IOContext {
	s.t.Helper()
	ioctx, err := conn.OpenIOContext(s.place(s.a).Pool())
	must(s.t, err)
	s.t.Cleanup(ioctx.Destroy)
	ioctx.SetNamespace(namespace)
	return ioctx
}

// contents is all that a tenant has: each object with its size and the digest
// of its bytes and of its omap, and its users with their keys and caps.
func (s *scene) contents(name string) string {
	s.t.Helper()
	conn, err := rados.NewConnWithUser("admin")
	must(s.t, err)
	must(s.t, conn.ReadConfigFile(s.ceph.Conf()))
	must(s.t, conn.Connect())
	defer conn.Shutdown()
	ioctx, err := conn.OpenIOContext(s.place(name).Pool())
	must(s.t, err)
	defer ioctx.Destroy()
	ioctx.SetNamespace(name)
	var lines []string
	must(s.t, ioctx.ListObjects(func(object string) { lines = append(lines, object) }))
	slices.Sort(lines)
	for i, object := range lines {
		lines[i] += " " + digest(s.t, ioctx, object)
	}
	for _, u := range []tenant.User{{Tenant: name, Role: tenant.Reader, Generation: 1}, {Tenant: name, Role: tenant.Writer, Generation: 1}} {
		lines = append(lines, s.ceph.Admin("auth", "get", "client."+u.String()))
	}
	return strings.Join(lines, "\n")
}

func digest(t *testing.T, ioctx *rados.IOContext, object string) string {
	t.Helper()
	sum := sha256.New()
	stat, err := ioctx.Stat(object)
	must(t, err)
	data := make([]byte, stat.Size)
	_, err = ioctx.Read(object, data, 0)
	must(t, err)
	sum.Write(data)
	must(t, ioctx.ListOmapValues(object, "", "", 10000, func(key string, value []byte) { fmt.Fprintf(sum, "%q=%q\n", key, value) }))
	return fmt.Sprintf("%d %x", stat.Size, sum.Sum(nil)[:8])
}

func (s *scene) keys(name string) tenant.Keys {
	s.t.Helper()
	k, err := s.registrar().Keys(s.t.Context(), s.place(name))
	must(s.t, err)
	return k
}

// eventually polls, for what Ceph's daemons have to tell each other first.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("after two minutes still not so: %s", what)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
