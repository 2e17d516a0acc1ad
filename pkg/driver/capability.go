package driver

import (
	"fmt"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// usage is what a list of volume capabilities asks for.
type usage struct {
	readOnly bool // every mode is a reader's
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
		if one.block != all.block || one.fsType != all.fsType {
			return usage{}, fmt.Errorf("capabilities ask for different kinds of access (block and mount, or two file systems): %w", volume.ErrInvalid)
		}
		all.readOnly = all.readOnly && one.readOnly
	}
	return all, nil
}

// parseCapability reads one capability.
func parseCapability(c *csi.VolumeCapability) (usage, error) {
	if c.GetAccessMode() == nil {
		return usage{}, fmt.Errorf("a volume capability or its access mode is missing: %w", volume.ErrInvalid)
	}
	var u usage
	switch {
	case c.GetBlock() != nil:
		u.block = true
	case c.GetMount() != nil:
		u.fsType, u.options = c.GetMount().GetFsType(), c.GetMount().GetMountFlags()
		if c.GetMount().GetVolumeMountGroup() != "" {
			return u, fmt.Errorf("volume_mount_group is not served: use fsGroup: %w", volume.ErrInvalid)
		}
	default:
		return u, fmt.Errorf("a volume capability has no access type (block or mount): %w", volume.ErrInvalid)
	}
	mode, err := parseMode(c.GetAccessMode().GetMode(), u.block)
	if err != nil {
		return u, err
	}
	u.readOnly = mode.ReadOnly()
	return u, checkFsType(u.fsType)
}

// parseMode admits the modes that this driver serves and names others.
func parseMode(mode csi.VolumeCapability_AccessMode_Mode, block bool) (volume.AccessMode, error) {
	m := volume.AccessMode(mode.String())
	switch m {
	case volume.SingleNodeWriter, volume.SingleNodeSingleWriter, volume.SingleNodeMultiWriter,
		volume.SingleNodeReaderOnly, volume.MultiNodeReaderOnly:
		return m, nil
	case volume.MultiNodeMultiWriter:
		if block {
			return m, nil
		}
		return m, fmt.Errorf("access mode %s is served for block volumes only: an RBD file system has one writing node; use CephFS: %w", m, volume.ErrInvalid)
	}
	return m, fmt.Errorf("access mode %s is not served: use one of %s, %s, %s, %s, %s: %w", m, volume.SingleNodeWriter,
		volume.SingleNodeSingleWriter, volume.SingleNodeMultiWriter, volume.SingleNodeReaderOnly, volume.MultiNodeReaderOnly, volume.ErrInvalid)
}

func checkFsType(fsType string) error {
	switch fsType {
	case "", "ext4", "xfs", "erofs":
		return nil
	}
	return fmt.Errorf("file system %.32q is not served: use ext4, xfs, or erofs for goldens: %w", fsType, volume.ErrInvalid)
}
