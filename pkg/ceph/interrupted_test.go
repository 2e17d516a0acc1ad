package ceph

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/ceph/go-ceph/rados"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// What a process leaves that was killed inside a call of librbd.

func TestRemoveInterruptedCreation(t *testing.T) {
	r := newReal(t, Options{})
	ctx := t.Context()
	for name, interrupt := range map[string]func(rados func(...string), id string){
		"nothing after the id": func(rados func(...string), id string) {
			rados("rm", "rbd_header."+id)
			rados("rm", "rbd_object_map."+id)
			rados("rmomapkey", "rbd_directory", "name_vol.1")
			rados("rmomapkey", "rbd_directory", "id_"+id)
		},
		"no header": func(rados func(...string), id string) {
			rados("rm", "rbd_header."+id)
			rados("rm", "rbd_object_map."+id)
		},
		"no object map": func(rados func(...string), id string) { rados("rm", "rbd_object_map."+id) },
		"complete":      func(func(...string), string) {},
	} {
		t.Run(name, func(t *testing.T) {
			ok(t, r.CreateImage(ctx, r.acme, "vol.1", 8<<20))
			id, err := r.ImageID(ctx, r.acme, "vol.1")
			ok(t, err)
			interrupt(func(args ...string) {
				r.ceph.Rados(append([]string{"-p", r.acme.Pool(), "-N", "acme"}, args...)...)
			}, id)
			wants(t, r.CreateImage(ctx, r.acme, "vol.1", 8<<20), volume.ErrExists)
			ok(t, r.RemoveImage(ctx, r.acme, "vol.1"))
			ok(t, r.CreateImage(ctx, r.acme, "vol.1", 8<<20))
			ok(t, r.RemoveImage(ctx, r.acme, "vol.1"))
			r.expectClean(t)
		})
	}
}

func TestRemoveInterruptedRemoval(t *testing.T) {
	r := newReal(t, Options{})
	ctx := t.Context()
	ok(t, r.CreateImage(ctx, r.acme, "vol.1", 8<<20))
	// What librbd's removal does first. No program can mark an image in the
	// trash as one that is being removed, so its entry is written by hand.
	ok(t, r.connections.use(ctx, ownLogin(r.acme.Cluster()), func(c *connection) error {
		ioctx, err := c.in(r.acme.Pool(), "acme")
		if err != nil {
			return err
		}
		id, err := imageID(ioctx, "vol.1")
		if err != nil {
			return err
		}
		return trashAsRemoving(ioctx, "vol.1", id)
	}))
	_, err := r.ImageID(ctx, r.acme, "vol.1")
	wants(t, err, volume.ErrNotFound)
	ok(t, r.RemoveImage(ctx, r.acme, "vol.1"))
	r.expectClean(t)
}

func TestInterruptedRename(t *testing.T) {
	r := newReal(t, Options{})
	ctx := t.Context()
	for name, directory := range map[string]string{"before the directory was changed": "vol.1", "after it was": "del.1"} {
		for does, next := range map[string]func(*testing.T){
			"renamed": func(t *testing.T) {
				ok(t, r.RenameImage(ctx, r.acme, "vol.1", "del.1"))
				_, err := r.ImageID(ctx, r.acme, "vol.1")
				wants(t, err, volume.ErrNotFound)
				ok(t, r.CreateImage(ctx, r.acme, "vol.1", 8<<20))
				wants(t, r.RenameImage(ctx, r.acme, "vol.1", "del.1"), volume.ErrExists)
			},
			"removed": func(*testing.T) {},
		} {
			t.Run(name+", then "+does, func(t *testing.T) {
				ok(t, r.CreateImage(ctx, r.acme, directory, 8<<20))
				ok(t, r.in(ctx, r.acme, func(ioctx *rados.IOContext) error {
					id, err := readObject(ioctx, idPrefix+directory)
					return errors.Join(err, ioctx.WriteFull(idPrefix+"vol.1", id), ioctx.WriteFull(idPrefix+"del.1", id))
				}))
				next(t)
				ok(t, r.RemoveImage(ctx, r.acme, "vol.1"))
				ok(t, r.RemoveImage(ctx, r.acme, "del.1"))
				r.expectClean(t)
			})
		}
	}
}

// trashAsRemoving moves an image to the trash as librbd's removal does: an
// entry with the source REMOVING, and no name and no id any more. The entry is
// version 2 of cls_rbd's TrashImageSpec: source, name, two times, state.
func trashAsRemoving(ioctx *rados.IOContext, name, id string) error {
	const removing = 3
	var body bytes.Buffer
	body.WriteByte(removing)
	appendText(&body, name)
	body.Write(make([]byte, 2*8+1))
	entry := append(binary.LittleEndian.AppendUint32([]byte{2, 1}, uint32(body.Len())), body.Bytes()...)
	if err := ioctx.SetOmap("rbd_trash", map[string][]byte{"id_" + id: entry}); err != nil {
		return err
	}
	if err := ioctx.RmOmapKeys("rbd_directory", []string{"name_" + name, "id_" + id}); err != nil {
		return err
	}
	return ioctx.Delete(idPrefix + name)
}
