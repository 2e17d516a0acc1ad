package driver

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// NodeGetVolumeStats tells how full a volume is (CSI spec,
// NodeGetVolumeStats).
func (n *Node) NodeGetVolumeStats(ctx context.Context, r *csi.NodeGetVolumeStatsRequest) (*csi.NodeGetVolumeStatsResponse, error) {
	path, err := n.shown(ctx, r.GetVolumeId(), r.GetVolumePath())
	if err != nil {
		return nil, err
	}
	u, err := n.usage(ctx, path)
	if err != nil {
		return nil, err
	}
	return &csi.NodeGetVolumeStatsResponse{Usage: answerUsage(u)}, nil
}

// answerTime bounds how long a volume may take to tell how full it is. One whose
// Ceph or whose server does not answer takes for ever, and not every caller sets
// a deadline.
const answerTime = 30 * time.Second

func (n *Node) usage(ctx context.Context, path string) (volume.Usage, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return n.mounter.Usage(ctx, path)
}

// shown returns the path, cleaned, at which this node shows the volume, one
// that was staged or an inline one.
func (n *Node) shown(ctx context.Context, text, path string) (string, error) {
	if path != "" && isHandle(text) {
		return path, n.shownInline(ctx, text, path)
	}
	id, path, err := parseShown(text, path)
	if err != nil {
		return "", err
	}
	at, err := n.policy().Open(id)
	if err != nil {
		return "", err
	}
	return path, n.stager.Shown(ctx, at, id, path)
}

// parseShown reads a volume and the path at which it is looked for. A relative
// one is none of ours, so nothing is there: csi-sanity wants NotFound for it.
func parseShown(text, path string) (id volume.ID, clean string, err error) {
	if path == "" {
		return id, "", fmt.Errorf("the volume path is missing: %w", volume.ErrInvalid)
	}
	if id, err = volume.ParseID(text); err != nil {
		return id, "", err
	}
	if !filepath.IsAbs(path) {
		return id, "", fmt.Errorf("the volume path %.256q is not absolute, so no volume is there: %w", path, volume.ErrNotFound)
	}
	clean, err = parsePath("the volume path", path)
	return id, clean, err
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
// NodeGetVolumeHealth). Without a path, or at a path that the volume has not
// reached, all that is known is whether the node has it.
func (n *Node) NodeGetVolumeHealth(ctx context.Context, r *csi.NodeGetVolumeHealthRequest) (*csi.NodeGetVolumeHealthResponse, error) {
	paths, err := parseHealthPaths(r)
	if err != nil {
		return nil, err
	}
	id, err := volume.ParseID(r.GetVolumeId())
	if err != nil {
		return nil, err
	}
	at, err := n.policy().Open(id)
	if err != nil {
		return nil, err
	}
	health := &csi.VolumeHealth{VolumeId: id.String()}
	if err := n.stager.Shown(ctx, at, id, ""); err != nil {
		return nil, err
	}
	for _, path := range paths {
		if bad := n.inaccessible(ctx, at, id, path); bad != nil {
			health.HealthStatuses = append(health.HealthStatuses, bad)
			break
		}
	}
	return &csi.NodeGetVolumeHealthResponse{VolumeHealth: health}, nil
}

func parseHealthPaths(r *csi.NodeGetVolumeHealthRequest) ([]string, error) {
	var paths []string
	for _, p := range [...]struct{ what, path string }{
		{"the publish path", r.GetVolumePublishPath()},
		{"the staging path", r.GetStagingTargetPath()},
	} {
		if p.path == "" {
			continue
		}
		path, err := parsePath(p.what, p.path)
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// inaccessible asks what shows the volume at path. It returns nil where the
// volume answers, and where it has not been shown as yet.
func (n *Node) inaccessible(ctx context.Context, at tenant.Place, id volume.ID, path string) *csi.VolumeHealth_VolumeHealthEntry {
	if err := n.stager.Shown(ctx, at, id, path); errors.Is(err, volume.ErrNotFound) {
		return nil
	}
	_, err := n.usage(ctx, path)
	if err == nil || errors.Is(err, volume.ErrNotFound) {
		return nil
	}
	return &csi.VolumeHealth_VolumeHealthEntry{
		Status: csi.VolumeHealthErrorType_INACCESSIBLE, Reason: "NoAnswer", Message: short(err.Error()),
	}
}

// short cuts a message to what CSI allows for a field.
func short(s string) string {
	if len(s) <= maxField {
		return s
	}
	return strings.ToValidUTF8(s[:maxField], "")
}
