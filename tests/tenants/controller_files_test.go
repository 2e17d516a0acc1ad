package tenants

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// bounded is a controller with the rights that docs/guides/cephfs.md gives it,
// none of them on users, beside a sdp-csi --mode=tenants.
type bounded struct {
	*filesScene
	policy *tenant.Policy
	begun  *cephfs.Provisioner
	user   string
}

func newBounded(t *testing.T) *bounded {
	t.Helper()
	s := newFilesScene(t)
	b := &bounded{filesScene: s, user: "controller-" + s.a}
	pool := s.place(s.a).Pool()
	key := s.ceph.User(b.user,
		"mon", "profile rbd, allow r",
		"mgr", `allow command "fs subvolumegroup create", allow command "fs subvolume create", allow command "fs subvolume getpath", `+
			`allow command "fs subvolume resize", allow command "fs subvolume rm", allow command "fs subvolume ls", `+
			`allow command "fs subvolume snapshot create", allow command "fs subvolume snapshot rm"`,
		"mds", "allow rw fsname="+theFiles,
		"osd", "profile rbd pool="+pool+", allow rw tag cephfs data="+theFiles)
	row := strings.Replace(s.row, "user: admin", "user: "+b.user, 1)
	row = regexp.MustCompile(`keyFile: "[^"]*"`).ReplaceAllLiteralString(row, `keyFile: "`+s.ceph.KeyFile(key)+`"`)
	var err error
	b.policy, err = tenant.Parse([]byte("clusters: [" + row + "]\ntenants: [{name: " + s.a + ", namespaces: [" + s.a + "], goldens: [\"" + s.public + "/*\"]}, {name: " + s.public + "}]\n"))
	must(t, err)
	controller := ceph.NewCluster(ceph.Options{})
	t.Cleanup(controller.Close)
	files := ceph.NewAskingFileSystem(controller)
	b.begun = cephfs.NewProvisioner(files, golden.NewLibrary(files, golden.Options{}), cephfs.Options{CreateWait: 2 * time.Minute})
	t.Cleanup(b.begun.Close)
	b.serve()
	return b
}

// serve is sdp-csi --mode=tenants.
func (b *bounded) serve() {
	cluster := b.second()
	desk := cephfs.NewDesk(ceph.NewFileSystem(cluster), b.registrarsPolicy, func(ctx context.Context, at tenant.Place) (bool, error) {
		return b.registrar().Revoked(ctx, at)
	})
	pool, err := b.registrarsPolicy().Pool("test")
	must(b.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- cluster.ServeWriters(ctx, pool, func(ctx context.Context, r cephfs.WriterRequest) error { return desk.Serve(ctx, "test", r) })
	}()
	b.t.Cleanup(func() {
		cancel()
		must(b.t, <-ended)
	})
}

// registrarsPolicy is the one with the key that makes users.
func (b *bounded) registrarsPolicy() *tenant.Policy { return b.filesScene.policy }

func (b *bounded) at(name string) tenant.Place {
	b.t.Helper()
	at, err := b.policy.Default(name, "")
	must(b.t, err)
	return at
}

// create makes a volume by the controller's means.
func (b *bounded) create(name string, readOnly bool, source volume.Source) (volume.ID, error) {
	at := b.at(b.a)
	id := at.VolumeID(volume.CephFS, name)
	_, err := b.begun.Create(b.t.Context(), at, b.at(b.public), id, volume.Spec{Name: name, ReadOnly: readOnly, Source: source})
	return id, err
}

func (b *bounded) must(name string, readOnly bool, source volume.Source) (id volume.ID) {
	b.t.Helper()
	b.patiently(func() (err error) {
		id, err = b.create(name, readOnly, source)
		return err
	})
	return id
}

// users lists the users of the volumes of A.
func (b *bounded) users() []string {
	b.t.Helper()
	var all []string
	for _, word := range strings.Fields(b.ceph.Admin("auth", "ls")) {
		if strings.HasPrefix(word, "client.sdpfs."+b.a+".") {
			all = append(all, word)
		}
	}
	return all
}

// TestControllerMakesNoUsers takes volumes through their life with a controller
// that has no right on users, as installed in Kubernetes.
func TestControllerMakesNoUsers(t *testing.T) {
	b := newBounded(t)
	ref := b.seed(b.public, granted)
	at := b.at(b.a)
	blank, copied := b.must("blank", false, volume.Source{}), b.must("copied", false, volume.Source{Golden: ref})
	shown := b.must("shown", true, volume.Source{Golden: ref})
	if got := b.users(); len(got) != 2 {
		t.Errorf("two volumes that are written have the users %q", got)
	}
	b.write(blank, "model", "written with the volume's key")
	snap := at.SnapshotID(volume.CephFS, "s")
	b.patiently(func() error {
		_, err := b.begun.CreateSnapshot(t.Context(), at, snap, "s", blank)
		return err
	})
	b.patiently(func() error {
		_, err := b.begun.Expand(t.Context(), at, blank, volume.Size{Required: 1 << 30})
		return err
	})
	ofSnapshot := b.must("of a snapshot", false, volume.Source{Snapshot: snap})
	b.patiently(func() error { return b.begun.DeleteSnapshot(t.Context(), at, snap) })
	for _, id := range []volume.ID{ofSnapshot, shown, copied, blank} {
		b.patiently(func() error { return b.begun.Delete(t.Context(), at, id) })
	}
	b.patiently(func() error { return b.begun.Sweep(t.Context(), at) })
	if got := b.users(); len(got) > 0 {
		t.Errorf("of deleted volumes there are the users %q", got)
	}
	b.asksInVain()
}

// asksInVain tries what the controller's key must not do: to make users, by
// itself and by the manager.
func (b *bounded) asksInVain() {
	b.t.Helper()
	conn := b.session(volume.Credentials{User: b.user, Key: volume.Secret(b.ceph.Key("client." + b.user))})
	monitors := func(text []byte) ([]byte, string, error) { return conn.MonCommand(text) }
	manager := func(text []byte) ([]byte, string, error) { return conn.MgrCommand([][]byte{text}) }
	for _, c := range []struct {
		ask     func([]byte) ([]byte, string, error)
		command map[string]any
	}{
		{monitors, map[string]any{"prefix": "auth get-or-create", "entity": "client.sdpfs." + b.a + ".stolen"}},
		{monitors, map[string]any{"prefix": "auth rm", "entity": "client.sdpfs." + b.a + ".stolen"}},
		{monitors, map[string]any{"prefix": "auth ls"}},
		{monitors, map[string]any{"prefix": "auth get", "entity": "client.admin"}},
		{manager, map[string]any{"prefix": "fs subvolume authorize", "vol_name": theFiles, "group_name": b.public, "sub_name": b.public + ".golden.model.v1", "auth_id": "stolen"}},
	} {
		text, err := json.Marshal(c.command)
		must(b.t, err)
		var coded interface{ ErrorCode() int }
		if out, _, err := c.ask(text); !errors.As(err, &coded) || coded.ErrorCode() != -13 {
			b.t.Errorf("%s: %v, %s; want it refused", text, err, out)
		}
	}
}

// TestRevokedTenantGetsNoUsers: a volume of a tenant that was cut off gets no
// user, and what of it was made goes again.
func TestRevokedTenantGetsNoUsers(t *testing.T) {
	b := newBounded(t)
	kept := b.must("kept", false, volume.Source{})
	_, err := b.registrar().Revoke(t.Context(), b.place(b.a))
	must(t, err)
	if _, err := b.create("more", false, volume.Source{}); !errors.Is(err, volume.ErrDenied) || !strings.Contains(err.Error(), "was revoked") {
		t.Errorf("a volume of a revoked tenant: %v", err)
	}
	if got := b.users(); len(got) > 0 {
		t.Errorf("a revoked tenant has the users %q", got)
	}
	b.patiently(func() error { return b.begun.Delete(t.Context(), b.at(b.a), kept) })
}
