//go:build bench

package cephfs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/cephfs/fuse"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/mount"
	"github.com/sdp-csi/sdp-csi/pkg/sharing"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/bench"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

const (
	modelBytes = 1_500_000_000
	functions  = 20
)

// TestShare has one golden read whole by 20 functions of a node that mounts with
// ceph-fuse, one after the other. What else reads from the OSD meanwhile counts
// too: it wants a Ceph of its own.
func TestShare(t *testing.T) {
	m := newMachine(t)
	report := &bench.Report{Name: "cephfs-node"}
	before := m.osdBytes()
	var starts, reads []time.Duration
	for i := range functions {
		starts = append(starts, timed(func() { m.stage(i) }))
		reads = append(reads, timed(func() { m.read(i) }))
	}
	report.Add("20 functions read one golden: bytes from the OSD / the golden", float64(m.osdBytes()-before)/modelBytes, "x", bench.Lower, 1.05)
	report.Note("first stage %s, then %.0f ms (p50); first whole read %s, then %.0f ms (p50)",
		starts[0].Round(time.Millisecond), bench.Median(starts[1:]), reads[0].Round(time.Millisecond), bench.Median(reads[1:]))
	for i := range functions {
		m.unstage(i)
	}
	if err := report.Write(os.Getenv("SDP_BENCH_OUT")); err != nil {
		t.Fatal(err)
	}
}

func timed(fn func()) time.Duration {
	begun := time.Now()
	fn()
	return time.Since(begun)
}

// machine is this one as a node, with a golden and its volumes.
type machine struct {
	t      *testing.T
	ceph   *realceph.Ceph
	files  ceph.FileSystem
	at     tenant.Place
	ref    volume.GoldenRef
	dir    string
	stager *cephfs.Stager
	key    volume.Credentials
	golden volume.Credentials
}

func newMachine(t *testing.T) *machine {
	c := realceph.New(t)
	name := "b" + strings.ToLower(rand.Text()[:8])
	row := strings.Replace(c.Cluster("test", c.Pool(name)), "{", "{fileSystem: cephfs, ", 1)
	policy, err := tenant.Parse(fmt.Appendf(nil, "clusters: [%s]\ntenants: [{name: %s, namespaces: [%s]}]\n", row, name, name))
	m := &machine{t: t, ceph: c, ref: volume.GoldenRef{Tenant: name, Name: "model", Version: "v1"}}
	m.must(err)
	m.at, err = policy.Default(name, "test")
	m.must(err)
	// Not t.TempDir(), whose removal would go through mounts.
	m.dir, err = os.MkdirTemp("/var/tmp", "bench-cephfs")
	m.must(err)
	t.Cleanup(func() { os.RemoveAll(m.dir) })
	cluster, reader := ceph.NewCluster(ceph.Options{}), ceph.NewReader(ceph.Options{})
	t.Cleanup(cluster.Close)
	t.Cleanup(reader.Close)
	t.Cleanup(func() {
		_ = exec.Command("ceph", "-c", c.Conf(), "fs", "subvolumegroup", "rm", "cephfs", name, "--force").Run()
	})
	m.files = ceph.NewFileSystem(cluster)
	m.seed()
	host := mount.NewHost()
	mounter := fuse.New(fuse.Options{Host: host, StateDir: m.dir})
	m.stager = cephfs.NewStager(ceph.NewFileReader(reader), mounter, host, unmeasured{}).Share(sharing.Options{StateDir: m.dir, Node: "bench"})
	return m
}

type unmeasured struct{}

func (unmeasured) Step(string) func() { return func() {} }

func (m *machine) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// seed makes the golden, its volumes, and the keys that open them.
func (m *machine) seed() {
	model := filepath.Join(m.dir, "model.h5")
	file, err := os.Create(model)
	m.must(err)
	_, err = io.CopyN(file, rand.Reader, modelBytes)
	m.must(err)
	m.must(file.Close())
	library := golden.NewLibrary(m.files, golden.Options{})
	ctx := context.Background()
	g, err := library.ImportFiles(ctx, m.files, m.at, m.ref, golden.Import{Source: image.Source{Path: model}})
	m.must(err)
	m.must(os.Remove(model))
	m.t.Cleanup(func() { m.must(library.Delete(ctx, m.at, m.ref)) })
	p := cephfs.NewProvisioner(m.files, library, cephfs.Options{})
	m.t.Cleanup(p.Close)
	for i := range functions {
		_, err := p.Create(ctx, m.at, m.at, m.id(i), volume.Spec{Name: fmt.Sprint(i), ReadOnly: true, Source: volume.Source{Golden: m.ref}})
		m.must(err)
		m.t.Cleanup(func() { m.must(p.Delete(ctx, m.at, m.id(i))) })
	}
	shared := tenant.SharedImage{Place: m.at, Backend: volume.CephFS, Name: m.ref.Image(), ImageID: g.ImageID}
	m.key = m.user(tenant.User{Tenant: m.at.Tenant(), Role: tenant.Reader, Generation: 1}, tenant.Access{At: m.at, Role: tenant.Reader})
	m.golden = m.user(tenant.User{Tenant: m.at.Tenant(), Golden: volume.GoldenRef{Name: m.ref.Name, Version: m.ref.Version}, Generation: 1},
		tenant.Access{At: m.at, Goldens: []tenant.SharedImage{shared}})
}

func (m *machine) user(u tenant.User, a tenant.Access) volume.Credentials {
	m.must(m.files.Put(m.t.Context(), u, a))
	m.t.Cleanup(func() { m.ceph.Admin("auth", "rm", "client."+u.String()) })
	c, err := m.files.Key(m.t.Context(), m.at, u)
	m.must(err)
	return c
}

func (m *machine) id(i int) volume.ID { return m.at.VolumeID(volume.CephFS, fmt.Sprint(i)) }

func (m *machine) path(i int) string { return filepath.Join(m.dir, "staging", fmt.Sprint(i)) }

func (m *machine) stage(i int) {
	m.t.Helper()
	m.must(m.stager.Stage(m.t.Context(), m.at, volume.Stage{
		ID: m.id(i), Path: m.path(i), ReadOnly: true, Credentials: m.key,
		Goldens: map[volume.GoldenRef]volume.Credentials{m.ref: m.golden},
	}))
}

func (m *machine) unstage(i int) {
	m.t.Helper()
	m.must(m.stager.Unstage(context.Background(), m.at, m.id(i), m.path(i)))
}

// read reads as a program does that loads a model: in order, by 1 MiB.
func (m *machine) read(i int) {
	m.t.Helper()
	file, err := os.Open(filepath.Join(m.path(i), "model.h5"))
	m.must(err)
	defer file.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{file}, make([]byte, 1<<20))
	m.must(err)
	if n != modelBytes {
		m.t.Fatalf("volume %d has %d bytes", i, n)
	}
}

// osdBytes is what clients have read from the OSD so far.
func (m *machine) osdBytes() int64 {
	m.t.Helper()
	var dump struct {
		OSD struct {
			Read int64 `json:"op_r_out_bytes"`
		} `json:"osd"`
	}
	m.must(json.Unmarshal([]byte(m.ceph.Admin("tell", "osd.0", "perf", "dump")), &dump))
	return dump.OSD.Read
}
