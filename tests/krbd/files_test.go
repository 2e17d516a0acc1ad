//go:build krbd

package krbd

import (
	"encoding/json"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/krbd/scene"
)

// cephfs makes what the inside finds in the file system: the directory as a
// golden, its volumes and a writable one, and their users.
func (d *director) cephfs(dir string) {
	d.t.Helper()
	files := ceph.NewFileSystem(d.cluster)
	library := golden.NewLibrary(files, golden.Options{})
	ref := volume.GoldenRef{Tenant: acme, Name: "files", Version: "v1"}
	g, err := library.ImportFiles(d.t.Context(), files, d.at, ref, golden.Import{Source: image.Source{Path: dir}, Note: "a test"})
	d.must(err)
	d.scene.CephFS = scene.Files{
		Golden: ref.String(), Volumes: map[string]string{}, Records: map[string][]byte{}, Writers: map[string]scene.User{},
		Users: map[string]scene.User{},
	}
	shared := tenant.SharedImage{Place: d.at, Backend: volume.CephFS, Name: ref.Image(), ImageID: g.ImageID}
	d.fileUser(files, scene.Reader, tenant.User{Tenant: acme, Role: tenant.Reader, Generation: 1}, tenant.Access{At: d.at, Role: tenant.Reader})
	d.fileUser(files, scene.Writer, tenant.User{Tenant: acme, Role: tenant.Writer, Generation: 1}, tenant.Access{At: d.at, Role: tenant.Writer})
	d.fileUser(files, scene.GoldenReader, tenant.User{Tenant: acme, Golden: volume.GoldenRef{Name: ref.Name, Version: ref.Version}, Generation: 1},
		tenant.Access{At: d.at, Goldens: []tenant.SharedImage{shared}})
	d.scene.CephFS.Users[scene.Stranger] = scene.User{Name: d.scene.CephFS.Users[scene.GoldenReader].Name, Key: d.scene.CephFS.Users[scene.Reader].Key}
	provisioner := cephfs.NewProvisioner(files, library, cephfs.Options{})
	d.t.Cleanup(provisioner.Close)
	for role, spec := range map[string]volume.Spec{
		scene.SharedA: {ReadOnly: true, Share: volume.ShareNode, Source: volume.Source{Golden: ref}},
		scene.SharedB: {ReadOnly: true, Share: volume.ShareNode, Source: volume.Source{Golden: ref}},
		scene.Own:     {ReadOnly: true, Share: volume.ShareClone, Source: volume.Source{Golden: ref}},
		scene.Written: {},
	} {
		spec.Name = role
		id := d.at.VolumeID(volume.CephFS, role)
		_, err := provisioner.Create(d.t.Context(), d.at, d.at, id, spec)
		d.must(err)
		d.handOver(role, id)
	}
}

func (d *director) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *director) fileUser(files ceph.FileSystem, role string, u tenant.User, a tenant.Access) {
	d.t.Helper()
	d.must(files.Put(d.t.Context(), u, a))
	c, err := files.Key(d.t.Context(), d.at, u)
	d.must(err)
	d.scene.CephFS.Users[role] = scene.User{Name: c.User, Key: c.Key.Reveal()}
}

// handOver reads a volume's record, and its writer where it has one, as a node
// would.
func (d *director) handOver(role string, id volume.ID) {
	d.t.Helper()
	own := ceph.NewReader(ceph.Options{})
	defer own.Close()
	reader, writer := ceph.NewFileReader(own), d.scene.CephFS.Users[scene.Writer]
	c := volume.Credentials{User: writer.Name, Key: volume.Secret(writer.Key)}
	name := "vol." + id.Hash
	reading, err := reader.Read(d.t.Context(), d.at, c, name)
	d.must(err)
	s := &d.scene.CephFS
	s.Volumes[role], s.Records[name], s.FSID = id.String(), reading.Data, reading.FSID
	var record struct {
		Subvolume string `json:"subvolume"`
	}
	d.must(json.Unmarshal(reading.Data, &record))
	if !strings.HasPrefix(record.Subvolume, "vol.") {
		return
	}
	found, err := reader.Writer(d.t.Context(), d.at, c, record.Subvolume)
	d.must(err)
	s.Writers[record.Subvolume] = scene.User{Name: found.User, Key: found.Key.Reveal()}
}
