//go:build krbd

package krbd

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

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/krbd/scene"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

const acme, globex = "acme", "globex"

// director makes a scene: a golden, volumes and users of tenant acme, with the
// real importer and provisioner.
type director struct {
	t       *testing.T
	ceph    *realceph.Ceph
	cluster *ceph.Cluster
	library *golden.Library
	at      tenant.Place
	scene   scene.Scene
}

func newDirector(t *testing.T, c *realceph.Ceph) *director {
	t.Helper()
	at := placeOf(t, c)
	cluster := ceph.NewCluster(ceph.Options{})
	t.Cleanup(cluster.Close)
	d := &director{t: t, ceph: c, cluster: cluster, library: golden.NewLibrary(cluster, golden.Options{}), at: at, scene: scene.Scene{
		Policy: fmt.Sprintf("clusters: [{id: %s, monitors: [%s], pool: %s, fileSystem: cephfs}]\ntenants: [{name: acme, namespaces: [acme]}]\n",
			at.Cluster().ID, strings.Join(c.Monitors(), ", "), at.Pool()),
		Users: map[string]scene.User{}, Volumes: map[string]string{}, Files: map[string]string{},
		Records: map[string]rbd.Reading{},
	}}
	d.users()
	dir := d.files()
	d.volumes(d.golden(image.EROFS, dir), d.golden(image.Ext4, dir))
	d.lock(scene.Locked)
	d.cephfs(dir)
	return d
}

// placeOf is the tenant's place in a fresh pool and in the file system.
func placeOf(t *testing.T, c *realceph.Ceph) tenant.Place {
	t.Helper()
	row := strings.Replace(c.Cluster("test", c.Pool(acme, globex)), "{", "{fileSystem: cephfs, ", 1)
	policy, err := tenant.Parse([]byte(fmt.Sprintf("clusters: [%s]\ntenants: [{name: %s, namespaces: [%s]}]\n", row, acme, acme)))
	if err != nil {
		t.Fatal(err)
	}
	at, err := policy.Admit(acme, "")
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// users makes a user of each kind, its caps limited to one namespace.
func (d *director) users() {
	for role, caps := range map[string][]string{
		scene.Reader:   {"mon", "profile rbd-read-only", "osd", "profile rbd-read-only pool=" + d.at.Pool() + " namespace=" + acme},
		scene.Writer:   {"mon", "profile rbd", "osd", "profile rbd pool=" + d.at.Pool() + " namespace=" + acme},
		scene.Stranger: {"mon", "profile rbd", "osd", "profile rbd pool=" + d.at.Pool() + " namespace=" + globex},
	} {
		name := d.at.Pool() + "-" + role
		d.scene.Users[role] = scene.User{Name: name, Key: d.ceph.User(name, caps...)}
	}
}

// files makes files of random bytes, one of several objects and one that ends
// within a block.
func (d *director) files() (dir string) {
	d.t.Helper()
	dir = d.t.TempDir()
	for name, size := range map[string]int{"model.bin": 24 << 20, "config/labels.txt": 12345, "empty": 0} {
		d.file(dir, name, size)
	}
	return dir
}

// golden imports a directory. The scene's golden is the one with EROFS.
func (d *director) golden(fsType, dir string) volume.GoldenRef {
	d.t.Helper()
	ref := volume.GoldenRef{Tenant: acme, Name: "model", Version: fsType}
	g, err := d.library.Import(d.t.Context(), d.at, ref, golden.Import{Source: image.Source{Path: dir}, FsType: fsType})
	if err != nil {
		d.t.Fatal(err)
	}
	if fsType == image.EROFS {
		d.scene.Golden = scene.Golden{Image: ref.Image(), Snapshot: volume.SealedSnapshot, ImageID: g.ImageID, SnapshotID: g.SnapshotID}
	}
	return ref
}

func (d *director) file(dir, name string, size int) {
	d.t.Helper()
	content := make([]byte, size)
	rand.Read(content)
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		d.t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	d.scene.Files[name] = hex.EncodeToString(sum[:])
}

func (d *director) volumes(erofs, ext4 volume.GoldenRef) {
	d.t.Helper()
	for role, spec := range map[string]volume.Spec{
		scene.Function: {ReadOnly: true, Source: volume.Source{Golden: erofs}},
		scene.Journal:  {ReadOnly: true, Source: volume.Source{Golden: ext4}},
		scene.SharedA:  {ReadOnly: true, Share: volume.ShareNode, Source: volume.Source{Golden: erofs}},
		scene.SharedB:  {ReadOnly: true, Share: volume.ShareNode, Source: volume.Source{Golden: erofs}},
		scene.Copy:     {Source: volume.Source{Golden: ext4}, Size: volume.Size{Required: 256 << 20}},
		scene.Ext4:     {FsType: "ext4", Size: volume.Size{Required: 64 << 20}},
		scene.XFS:      {FsType: "xfs", Size: volume.Size{Required: 512 << 20}},
		scene.Block:    {Block: true, Size: volume.Size{Required: 16 << 20}},
		scene.Locked:   {FsType: "ext4", Size: volume.Size{Required: 64 << 20}},
	} {
		spec.Name = role
		d.volume(role, spec)
	}
}

// volume makes a volume and hands its record over as a node would read it.
func (d *director) volume(role string, spec volume.Spec) {
	d.t.Helper()
	id := d.at.VolumeID(volume.RBD, spec.Name)
	if _, err := rbd.NewProvisioner(d.cluster, d.library).Create(d.t.Context(), d.at, d.at, id, spec); err != nil {
		d.t.Fatal(err)
	}
	reader := ceph.NewReader(ceph.Options{})
	defer reader.Close()
	user := d.scene.Users[scene.Reader]
	record := "vol." + id.Hash
	reading, err := reader.Read(context.WithoutCancel(d.t.Context()), d.at, volume.Credentials{User: user.Name, Key: volume.Secret(user.Key)}, record)
	if err != nil {
		d.t.Fatal(err)
	}
	d.scene.Volumes[role], d.scene.Records[record] = id.String(), reading
}

// lock takes the lock of a volume's image, as a client does that will not
// hand it over.
func (d *director) lock(role string) {
	d.t.Helper()
	d.ceph.RBD("lock", "add", d.image(role), "elsewhere")
}

// answer does what the inside asks for, as the controller would.
func (d *director) answer(verb, role string) string {
	d.t.Helper()
	switch image := d.image(role); verb {
	case scene.Grow:
		return d.try("resize", "--no-progress", "--size", fmt.Sprint(scene.Grown>>20)+"M", image)
	case scene.Snap:
		said := d.try("snap", "create", "--no-progress", image+"@asked")
		if said == scene.Done {
			d.ceph.RBD("snap", "rm", "--no-progress", image+"@asked")
		}
		return said
	}
	return "there is no verb " + verb
}

// try runs Ceph's program `rbd` and returns Done or its complaint, in a line.
func (d *director) try(args ...string) string {
	d.t.Helper()
	rbd := exec.CommandContext(d.t.Context(), "rbd", append([]string{"-c", d.ceph.Conf()}, args...)...)
	out, err := rbd.CombinedOutput()
	if err == nil {
		return scene.Done
	}
	return strings.Join(strings.Fields(fmt.Sprint("refused: ", err, ": ", string(out))), " ")
}

func (d *director) image(role string) string {
	d.t.Helper()
	id, err := volume.ParseID(d.scene.Volumes[role])
	if err != nil {
		d.t.Fatal(err)
	}
	return d.at.Pool() + "/" + acme + "/vol." + id.Hash
}
