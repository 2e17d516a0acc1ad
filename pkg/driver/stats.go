package driver

import (
	"context"
	"errors"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// NodeGetVolumeStats tells how full a volume is (CSI spec,
// NodeGetVolumeStats).
func (n *Node) NodeGetVolumeStats(ctx context.Context, r *csi.NodeGetVolumeStatsRequest) (*csi.NodeGetVolumeStatsResponse, error) {
	if _, err := volume.ParseID(r.GetVolumeId()); err != nil {
		return nil, err
	}
	path, err := parsePath("the volume path", r.GetVolumePath())
	if err != nil {
		return nil, err
	}
	u, err := n.mounter.Usage(ctx, path)
	if err != nil {
		return nil, err
	}
	return &csi.NodeGetVolumeStatsResponse{Usage: answerUsage(u)}, nil
}

// answerUsage leaves out what the file system does not count.
func answerUsage(u volume.Usage) []*csi.VolumeUsage {
	bytes := &csi.VolumeUsage{Unit: csi.VolumeUsage_BYTES, Total: u.Total, Used: u.Used, Available: u.Available}
	if u.Block || u.Inodes == 0 {
		return []*csi.VolumeUsage{bytes}
	}
	return []*csi.VolumeUsage{bytes, {
		Unit: csi.VolumeUsage_INODES, Total: u.Inodes, Used: u.InodesUsed, Available: u.InodesFree,
	}}
}

// NodeGetVolumeHealth tells whether a volume answers on this node (CSI spec,
// NodeGetVolumeHealth).
func (n *Node) NodeGetVolumeHealth(ctx context.Context, r *csi.NodeGetVolumeHealthRequest) (*csi.NodeGetVolumeHealthResponse, error) {
	id, err := volume.ParseID(r.GetVolumeId())
	if err != nil {
		return nil, err
	}
	path := r.GetVolumePublishPath()
	if path == "" {
		path = r.GetStagingTargetPath()
	}
	if path, err = parsePath("the publish or staging path", path); err != nil {
		return nil, err
	}
	health := &csi.VolumeHealth{VolumeId: id.String()}
	if _, err := n.mounter.Usage(ctx, path); err != nil {
		if errors.Is(err, volume.ErrNotFound) {
			return nil, err
		}
		health.HealthStatuses = []*csi.VolumeHealth_VolumeHealthEntry{{
			Status: csi.VolumeHealthErrorType_INACCESSIBLE, Reason: "NoAnswer", Message: err.Error(),
		}}
	}
	return &csi.NodeGetVolumeHealthResponse{VolumeHealth: health}, nil
}
