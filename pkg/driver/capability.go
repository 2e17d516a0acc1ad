package driver

import (
	"fmt"
	"slices"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// usage is what a list of volume capabilities asks for.
type usage struct {
	readOnly bool // every mode is a reader's
	alone    bool // every mode lets the volume be published once on a node
	shared   bool // a mode lets several nodes write
	block    bool
	fsType   string
	options  []string
}

// parseCapabilities reads CreateVolume's capabilities: one kind of access, and
// modes that this driver serves (CSI spec, VolumeCapability).
func parseCapabilities(caps []*csi.VolumeCapability) (usage, error) {
	if len(caps) == 0 {
		return usage{}, fmt.Errorf("volume capabilities are missing: %w", volume.ErrInvalid)
	}
	all, err := parseCapability(caps[0])
	if err != nil {
		return usage{}, err
	}
	for _, c := range caps[1:] {
		one, err := parseCapability(c)
		if err != nil {
			return usage{}, err
		}
		if all, err = all.with(one); err != nil {
			return usage{}, err
		}
	}
	return all, nil
}

// with returns what both ask for. An empty file system type is no wish.
func (u usage) with(other usage) (usage, error) {
	if u.block != other.block {
		return u, fmt.Errorf("volume capabilities ask for block and for mount: a volume is one of both: %w", volume.ErrInvalid)
	}
	if u.fsType != "" && other.fsType != "" && u.fsType != other.fsType {
		return u, fmt.Errorf("volume capabilities ask for %s and for %s: a volume has one file system: %w", u.fsType, other.fsType, volume.ErrInvalid)
	}
	u.fsType = max(u.fsType, other.fsType)
	u.readOnly = u.readOnly && other.readOnly
	u.alone = u.alone && other.alone
	u.shared = u.shared || other.shared
	return u, nil
}

// fits refuses what no volume of the backend can be used for.
func (u usage) fits(b volume.Backend) error {
	switch {
	case b == volume.CephFS && u.block:
		return fmt.Errorf("backend %s has no block volumes: use volumeMode Filesystem: %w", b, volume.ErrInvalid)
	case b == volume.CephFS && u.fsType != "" && u.fsType != string(volume.CephFS):
		return fmt.Errorf("backend %s has no file system %s: leave fsType out: %w", b, u.fsType, volume.ErrInvalid)
	case b != volume.CephFS && u.fsType == string(volume.CephFS):
		return fmt.Errorf("backend %s has no file system %s: use a class with backend %s: %w", b, u.fsType, volume.CephFS, volume.ErrInvalid)
	}
	return u.fitsNodes(b)
}

// fitsNodes refuses several writing nodes where the backend has but one.
func (u usage) fitsNodes(b volume.Backend) error {
	if b == volume.CephFS || !u.shared || u.block {
		return nil
	}
	return fmt.Errorf("access mode %s is served by backend %s for block volumes only, because an RBD image's file system has one writing node: "+
		"use ReadWriteOnce, ReadOnlyMany with a golden, or a class with backend %s: %w", volume.MultiNodeMultiWriter, b, volume.CephFS, volume.ErrInvalid)
}

// parseCapability reads one capability.
func parseCapability(c *csi.VolumeCapability) (u usage, err error) {
	if c == nil {
		return u, fmt.Errorf("the volume capability is missing: %w", volume.ErrInvalid)
	}
	switch {
	case c.GetBlock() != nil:
		u.block = true
	case c.GetMount() != nil:
		u.fsType, u.options, err = parseMount(c.GetMount())
	default:
		err = fmt.Errorf("the volume capability has no access type: say block or mount: %w", volume.ErrInvalid)
	}
	if err != nil {
		return u, err
	}
	mode, err := parseMode(c.GetAccessMode())
	if err != nil {
		return u, err
	}
	u.readOnly, u.alone, u.shared = mode.ReadOnly(), mode.Alone(), mode == volume.MultiNodeMultiWriter
	for _, o := range u.options {
		if err := volume.CheckOption(o, u.readOnly); err != nil {
			return u, err
		}
	}
	return u, nil
}

// maxFlags bounds mount_flags (CSI spec, MountVolume), in bytes.
const maxFlags = 4096

// parseMount reads what a mount is to be like.
func parseMount(m *csi.VolumeCapability_MountVolume) (fsType string, options []string, err error) {
	if m.GetVolumeMountGroup() != "" {
		return "", nil, fmt.Errorf("volume_mount_group is not served: use fsGroup: %w", volume.ErrInvalid)
	}
	size := 0
	for _, o := range m.GetMountFlags() {
		if size += len(o); size > maxFlags || strings.ContainsRune(o, 0) {
			return "", nil, fmt.Errorf("mount_flags have more than %d bytes, or a NUL: %w", maxFlags, volume.ErrInvalid)
		}
	}
	return m.GetFsType(), m.GetMountFlags(), checkFsType(m.GetFsType())
}

// parseMode admits the modes that this driver serves and names others.
func parseMode(a *csi.VolumeCapability_AccessMode) (volume.AccessMode, error) {
	if a == nil {
		return "", fmt.Errorf("the volume capability has no access mode: %w", volume.ErrInvalid)
	}
	served := []string{
		string(volume.SingleNodeWriter), string(volume.SingleNodeSingleWriter), string(volume.SingleNodeMultiWriter),
		string(volume.SingleNodeReaderOnly), string(volume.MultiNodeReaderOnly), string(volume.MultiNodeMultiWriter),
	}
	name := a.GetMode().String()
	if slices.Contains(served, name) {
		return volume.AccessMode(name), nil
	}
	return "", fmt.Errorf("access mode %s is not served: use one of %s: %w", name, strings.Join(served, ", "), volume.ErrInvalid)
}

func checkFsType(fsType string) error {
	switch fsType {
	case "", "ext4", "xfs", "erofs", string(volume.CephFS):
		return nil
	}
	return fmt.Errorf("file system %.32q is not served: use ext4, xfs, erofs for goldens, or cephfs with its backend: %w", fsType, volume.ErrInvalid)
}
