package rbd

import (
	"errors"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func TestIdentityAgrees(t *testing.T) {
	full := Identity{FSID: "f", PoolID: 1, ImageID: "i", SnapshotID: 2}
	for name, c := range map[string]struct {
		known Identity
		want  bool
	}{
		"nothing known":    {Identity{}, true},
		"all the same":     {full, true},
		"another cluster":  {Identity{FSID: "g"}, false},
		"another pool":     {Identity{PoolID: 9}, false},
		"another image":    {Identity{FSID: "f", ImageID: "j"}, false},
		"another snapshot": {Identity{SnapshotID: 3}, false},
	} {
		if got := c.known.Agrees(full); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestAdmit(t *testing.T) {
	goldenOf := func(fsType string) origin {
		return origin{fsType: fsType, parent: parentRecord{Golden: "golden.m.v1", Size: 5}}
	}
	volumeOf := func(fsType string, block bool) origin {
		return origin{fsType: fsType, block: block, parent: parentRecord{Volume: "hash", Size: 5}}
	}
	for name, c := range map[string]struct {
		from   origin
		spec   volume.Spec
		fsType string
		want   error
	}{
		"blank":                          {origin{}, volume.Spec{}, "ext4", nil},
		"blank xfs":                      {origin{}, volume.Spec{FsType: "xfs"}, "xfs", nil},
		"blank erofs":                    {origin{}, volume.Spec{FsType: "erofs"}, "", volume.ErrInvalid},
		"blank read-only":                {origin{}, volume.Spec{ReadOnly: true}, "", volume.ErrInvalid},
		"blank block":                    {origin{}, volume.Spec{Block: true, FsType: "xfs"}, "", nil},
		"erofs golden":                   {goldenOf("erofs"), volume.Spec{ReadOnly: true}, "erofs", nil},
		"erofs golden, writable":         {goldenOf("erofs"), volume.Spec{}, "", volume.ErrInvalid},
		"erofs golden, asked for ext4":   {goldenOf("erofs"), volume.Spec{ReadOnly: true, FsType: "ext4"}, "", volume.ErrInvalid},
		"erofs golden, as block":         {goldenOf("erofs"), volume.Spec{ReadOnly: true, Block: true}, "", nil},
		"ext4 golden, writable":          {goldenOf("ext4"), volume.Spec{}, "ext4", nil},
		"ext4 golden, asked for ext4":    {goldenOf("ext4"), volume.Spec{FsType: "ext4"}, "ext4", nil},
		"volume":                         {volumeOf("xfs", false), volume.Spec{}, "xfs", nil},
		"volume, other fs":               {volumeOf("xfs", false), volume.Spec{FsType: "ext4"}, "", volume.ErrInvalid},
		"file system from block":         {volumeOf("", true), volume.Spec{}, "", volume.ErrInvalid},
		"block from file system":         {volumeOf("ext4", false), volume.Spec{Block: true}, "", volume.ErrInvalid},
		"block from block":               {volumeOf("", true), volume.Spec{Block: true}, "", nil},
		"copy of an erofs volume, to rw": {volumeOf("erofs", false), volume.Spec{}, "", volume.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.from.admit(c.spec)
			if got != c.fsType || !errors.Is(err, c.want) {
				t.Fatalf("got %q, %v", got, err)
			}
		})
	}
}
