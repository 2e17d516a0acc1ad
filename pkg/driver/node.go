package driver

import (
	"context"
	"fmt"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Node is the CSI node service.
type Node struct {
	csi.UnimplementedNodeServer
	id      string
	limit   int64
	policy  func() *tenant.Policy
	stager  Stager
	mounter Mounter
	busy    *inflight
}

// NodeOptions are what a node service is made of.
type NodeOptions struct {
	// ID names this node to the CO.
	ID string
	// MaxVolumes overrides how many volumes the node can have; 0: what the
	// stager says.
	MaxVolumes int64
	Policy     func() *tenant.Policy
	Stager     Stager
	Mounter    Mounter
	Limits
}

// NewNode returns the node service.
func NewNode(o NodeOptions) *Node {
	return &Node{id: o.ID, limit: o.MaxVolumes, policy: o.Policy, stager: o.Stager, mounter: o.Mounter, busy: newInflight(o.operation())}
}

// nodeCapabilities are what the node advertises.
var nodeCapabilities = [...]csi.NodeServiceCapability_RPC_Type{
	csi.NodeServiceCapability_RPC_STAGE_UNSTAGE_VOLUME,
	csi.NodeServiceCapability_RPC_GET_VOLUME_STATS,
	csi.NodeServiceCapability_RPC_EXPAND_VOLUME,
	csi.NodeServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	csi.NodeServiceCapability_RPC_GET_VOLUME_HEALTH,
}

// NodeGetCapabilities lists what the node serves (CSI spec,
// NodeGetCapabilities).
func (n *Node) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	resp := &csi.NodeGetCapabilitiesResponse{}
	for _, t := range nodeCapabilities {
		resp.Capabilities = append(resp.Capabilities, &csi.NodeServiceCapability{
			Type: &csi.NodeServiceCapability_Rpc{Rpc: &csi.NodeServiceCapability_RPC{Type: t}},
		})
	}
	return resp, nil
}

// NodeGetInfo names the node and how many volumes it can have (CSI spec,
// NodeGetInfo).
func (n *Node) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	limit := n.limit
	if limit == 0 {
		limit = n.stager.Limit()
	}
	return &csi.NodeGetInfoResponse{NodeId: n.id, MaxVolumesPerNode: limit}, nil
}

// NodeStageVolume maps and mounts a volume (CSI spec, NodeStageVolume).
func (n *Node) NodeStageVolume(ctx context.Context, r *csi.NodeStageVolumeRequest) (*csi.NodeStageVolumeResponse, error) {
	st, err := parseStage(r)
	if err != nil {
		return nil, err
	}
	at, err := n.policy().Open(st.ID)
	if err != nil {
		return nil, err
	}
	err = n.busy.do(ctx, st.ID.String(), func(ctx context.Context) error {
		return n.stager.Stage(ctx, at, st)
	})
	return &csi.NodeStageVolumeResponse{}, err
}

// The keys of a node-stage secret, by the names that Ceph's own CSI driver uses.
const (
	secretUser = "userID"
	secretKey  = "userKey"
)

func parseStage(r *csi.NodeStageVolumeRequest) (st volume.Stage, err error) {
	if st.ID, err = volume.ParseID(r.GetVolumeId()); err != nil {
		return st, err
	}
	if st.Path, err = parsePath("the staging path", r.GetStagingTargetPath()); err != nil {
		return st, err
	}
	use, err := parseCapabilityOf(r.GetVolumeCapability())
	if err != nil {
		return st, err
	}
	st.Block, st.FsType, st.ReadOnly, st.Options = use.block, use.fsType, use.readOnly, use.options
	st.Credentials, err = parseCredentials(r.GetSecrets())
	return st, err
}

func parseCapabilityOf(c *csi.VolumeCapability) (usage, error) {
	if c == nil {
		return usage{}, fmt.Errorf("the volume capability is missing: %w", volume.ErrInvalid)
	}
	return parseCapability(c)
}

func parseCredentials(secrets map[string]string) (volume.Credentials, error) {
	c := volume.Credentials{User: secrets[secretUser], Key: volume.Secret(secrets[secretKey])}
	if c.User == "" || c.Key == "" {
		return c, fmt.Errorf("the node-stage secret has no %s or no %s: name the tenant's secret in the class "+
			"(csi.storage.k8s.io/node-stage-secret-name): %w", secretUser, secretKey, volume.ErrInvalid)
	}
	return c, nil
}

// NodeUnstageVolume undoes NodeStageVolume (CSI spec, NodeUnstageVolume).
func (n *Node) NodeUnstageVolume(ctx context.Context, r *csi.NodeUnstageVolumeRequest) (*csi.NodeUnstageVolumeResponse, error) {
	path, err := parsePath("the staging path", r.GetStagingTargetPath())
	if err != nil {
		return nil, err
	}
	id, err := volume.ParseID(r.GetVolumeId())
	if err != nil {
		return &csi.NodeUnstageVolumeResponse{}, unlessAbsent(err)
	}
	at, err := n.policy().Release(id)
	if err != nil {
		return nil, err
	}
	err = n.busy.do(ctx, id.String(), func(ctx context.Context) error {
		return n.stager.Unstage(ctx, at, id, path)
	})
	return &csi.NodeUnstageVolumeResponse{}, err
}

// NodePublishVolume shows a staged volume to a pod (CSI spec,
// NodePublishVolume). It makes no Ceph call.
func (n *Node) NodePublishVolume(ctx context.Context, r *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	p, err := parsePublication(r)
	if err != nil {
		return nil, err
	}
	policy := n.policy()
	if _, err := policy.Open(p.ID); err != nil {
		return nil, err
	}
	if err := policy.CheckPod(p.ID, r.GetVolumeContext()[podNamespace]); err != nil {
		return nil, err
	}
	err = n.busy.do(ctx, p.ID.String()+" at "+p.Target, func(ctx context.Context) error {
		return n.mounter.Publish(ctx, p)
	})
	return &csi.NodePublishVolumeResponse{}, err
}

func parsePublication(r *csi.NodePublishVolumeRequest) (p volume.Publication, err error) {
	if p.ID, err = volume.ParseID(r.GetVolumeId()); err != nil {
		return p, err
	}
	if p.Target, err = parsePath("the target path", r.GetTargetPath()); err != nil {
		return p, err
	}
	use, err := parseCapabilityOf(r.GetVolumeCapability())
	if err != nil {
		return p, err
	}
	if r.GetStagingTargetPath() == "" {
		return p, fmt.Errorf("the staging path is missing: the volume must be staged first: %w", volume.ErrInUse)
	}
	p.Staging, err = parsePath("the staging path", r.GetStagingTargetPath())
	p.Block, p.ReadOnly = use.block, use.readOnly || r.GetReadonly()
	return p, err
}

// NodeUnpublishVolume undoes NodePublishVolume (CSI spec,
// NodeUnpublishVolume).
func (n *Node) NodeUnpublishVolume(ctx context.Context, r *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	target, err := parsePath("the target path", r.GetTargetPath())
	if err != nil {
		return nil, err
	}
	id, err := volume.ParseID(r.GetVolumeId())
	if err != nil {
		return &csi.NodeUnpublishVolumeResponse{}, unlessAbsent(err)
	}
	err = n.busy.do(ctx, id.String()+" at "+target, func(ctx context.Context) error {
		return n.mounter.Unpublish(ctx, target)
	})
	return &csi.NodeUnpublishVolumeResponse{}, err
}

// NodeExpandVolume grows the device and the file system of a volume whose
// image has grown (CSI spec, NodeExpandVolume).
func (n *Node) NodeExpandVolume(ctx context.Context, r *csi.NodeExpandVolumeRequest) (*csi.NodeExpandVolumeResponse, error) {
	id, err := volume.ParseID(r.GetVolumeId())
	if err != nil {
		return nil, err
	}
	path, err := parsePath("the volume path", r.GetVolumePath())
	if err != nil {
		return nil, err
	}
	size, err := parseSize(r.GetCapacityRange())
	if err != nil {
		return nil, err
	}
	if r.GetVolumeCapability() != nil {
		if _, err := parseCapability(r.GetVolumeCapability()); err != nil {
			return nil, err
		}
	}
	at, err := n.policy().Open(id)
	if err != nil {
		return nil, err
	}
	err = n.busy.do(ctx, id.String(), func(ctx context.Context) error {
		return n.stager.Expand(ctx, at, id, path)
	})
	return &csi.NodeExpandVolumeResponse{CapacityBytes: size.Required}, err
}
