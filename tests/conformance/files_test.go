package conformance

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"os/exec"
	"path"
	"strings"
	"sync"
	"syscall"
	"testing"

	libcephfs "github.com/ceph/go-ceph/cephfs"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

// files are the place of a volume's content, as its record tells.
type files struct {
	Subvolume string          `json:"subvolume"`
	Directory string          `json:"directory"`
	Parent    cephfs.Snapshot `json:"parent"`
}

func filesOf(t *testing.T, s golden.Store, at tenant.Place, id volume.ID) (f files) {
	t.Helper()
	data, err := s.ReadRecord(context.Background(), at, "vol."+id.Hash)
	must(t, err)
	must(t, json.Unmarshal(data, &f))
	return f
}

// fakeContents are the words in a fake file system.
type fakeContents struct {
	*fake.FileSystem
	at tenant.Place
}

func (f fakeContents) fill(_ *testing.T, at tenant.Place, image, text string) {
	f.Fill(at, image, text)
}

func (f fakeContents) write(t *testing.T, id volume.ID, text string) {
	t.Helper()
	f.Fill(f.at, filesOf(t, f.FileSystem, f.at, id).Subvolume, text)
}

func (f fakeContents) read(t *testing.T, id volume.ID, n int) string {
	t.Helper()
	has := filesOf(t, f.FileSystem, f.at, id)
	text := ""
	if has.Subvolume != "" {
		text = f.Content(f.at, has.Subvolume)
	} else {
		text = f.SnapshotContent(has.Parent)
	}
	return text[:min(n, len(text))]
}

// realFiles is a file system in which the test has groups of its own.
func realFiles(t *testing.T) backend {
	real := realceph.New(t)
	suffix := strings.ToLower(rand.Text()[:8])
	names := []string{"a" + suffix, "p" + suffix, "s" + suffix}
	row := strings.Replace(real.Cluster("test", real.Pool(names...)), "{", "{fileSystem: cephfs, ", 1)
	cluster := ceph.NewCluster(ceph.Options{})
	t.Cleanup(cluster.Close)
	f := ceph.NewFileSystem(cluster)
	policy := policyOf(t, row, names[0], names[1], names[2])
	b := backend{kind: volume.CephFS, store: f, slow: true}.in(t, policy, names[0], names[1], names[2])
	seen := &realContents{store: f, conf: real.Conf(), at: b.acme}
	t.Cleanup(seen.unmount)
	b.contents = seen
	b.begin = filesController(t, ceph.NewAskingFileSystem(cluster))
	serveWriters(t, policy)
	b.leftovers = func(at tenant.Place) []string { return filesLeft(t, real, f, at) }
	t.Cleanup(func() { sweepGroups(t, real, f, b.acme, b.public, b.small) })
	return b
}

// serveWriters is sdp-csi --mode=tenants, as far as controllers ask it.
func serveWriters(t *testing.T, policy *tenant.Policy) {
	t.Helper()
	cluster := ceph.NewCluster(ceph.Options{})
	desk := cephfs.NewDesk(ceph.NewFileSystem(cluster), func() *tenant.Policy { return policy },
		func(context.Context, tenant.Place) (bool, error) { return false, nil })
	pool, err := policy.Pool("test")
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- cluster.ServeWriters(ctx, pool, func(ctx context.Context, r cephfs.WriterRequest) error { return desk.Serve(ctx, "test", r) })
	}()
	t.Cleanup(func() {
		cancel()
		must(t, <-ended)
		cluster.Close()
	})
}

// filesLeft lists a tenant's subvolumes, records, users and their keys, and the
// references to its snapshots.
func filesLeft(t *testing.T, real *realceph.Ceph, f ceph.FileSystem, at tenant.Place) []string {
	t.Helper()
	all, err := f.ListSubvolumes(context.Background(), at)
	must(t, err)
	all = append(all, objects(real, at)...)
	for _, space := range []string{at.Tenant() + ".keys", "sdp.refs"} {
		for _, name := range strings.Fields(real.Rados("-p", at.Pool(), "-N", space, "ls")) {
			if strings.Contains(name, at.Tenant()+".") {
				all = append(all, space+"/"+name)
			}
		}
	}
	for _, word := range strings.Fields(real.Admin("auth", "ls")) {
		if strings.HasPrefix(word, "client.sdpfs."+at.Tenant()+".") {
			all = append(all, word)
		}
	}
	return all
}

// sweepGroups removes what a failed test left, and the groups.
func sweepGroups(t *testing.T, real *realceph.Ceph, f ceph.FileSystem, places ...tenant.Place) {
	ctx := context.Background()
	for _, at := range places {
		names, err := f.ListSubvolumes(ctx, at)
		if err != nil {
			continue // no group
		}
		for _, name := range names {
			t.Logf("left over: %s", name)
			_ = f.RemoveWriter(ctx, at, name)
			_ = exec.Command("ceph", "-c", real.Conf(), "fs", "subvolume", "rm", "cephfs", at.Tenant()+"."+name, "--group_name", at.Tenant(), "--force").Run()
		}
		_ = exec.Command("ceph", "-c", real.Conf(), "fs", "subvolumegroup", "rm", "cephfs", at.Tenant(), "--force").Run()
	}
}

// realContents are files called «text», seen by an admin that has the whole
// file system mounted.
type realContents struct {
	store golden.Store
	conf  string
	at    tenant.Place

	once  sync.Once
	mount *libcephfs.MountInfo
	err   error
}

// mounted mounts the file system once.
func (r *realContents) mounted(t *testing.T) *libcephfs.MountInfo {
	t.Helper()
	r.once.Do(func() {
		if r.mount, r.err = libcephfs.CreateMount(); r.err != nil {
			return
		}
		if r.err = r.mount.ReadConfigFile(r.conf); r.err == nil {
			r.err = r.mount.Mount()
		}
	})
	must(t, r.err)
	return r.mount
}

// unmount ends the mount: the process must not end with one.
func (r *realContents) unmount() {
	if r.mount != nil {
		_ = r.mount.Unmount()
		_ = r.mount.Release()
	}
}

func (r *realContents) fill(t *testing.T, at tenant.Place, image, text string) {
	t.Helper()
	directory, err := r.store.ImageID(context.Background(), at, image)
	must(t, err)
	r.put(t, path.Join(cephfs.Root(at.Tenant(), image), directory), text)
}

func (r *realContents) write(t *testing.T, id volume.ID, text string) {
	t.Helper()
	has := filesOf(t, r.store, r.at, id)
	r.put(t, path.Join(cephfs.Root(r.at.Tenant(), has.Subvolume), has.Directory), text)
}

func (r *realContents) put(t *testing.T, dir, text string) {
	t.Helper()
	file, err := r.mounted(t).Open(path.Join(dir, "text"), syscall.O_WRONLY|syscall.O_CREAT|syscall.O_TRUNC, 0o644)
	must(t, err)
	_, err = file.Write([]byte(text))
	must(t, err)
	must(t, file.Sync())
	must(t, file.Close())
}

func (r *realContents) read(t *testing.T, id volume.ID, n int) string {
	t.Helper()
	has := filesOf(t, r.store, r.at, id)
	dir := path.Join(cephfs.Root(r.at.Tenant(), has.Subvolume), has.Directory)
	if has.Subvolume == "" {
		dir = path.Join(cephfs.Root(has.Parent.Tenant, has.Parent.Subvolume), ".snap", has.Parent.Name, has.Parent.Directory)
	}
	file, err := r.mounted(t).Open(path.Join(dir, "text"), syscall.O_RDONLY, 0)
	must(t, err)
	data := make([]byte, n)
	got, err := file.Read(data)
	must(t, err)
	must(t, file.Close())
	return string(data[:got])
}
