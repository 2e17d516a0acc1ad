package driver

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Node is the CSI node service.
type Node struct {
	csi.UnimplementedNodeServer
	id      string
	limit   int64
	podInfo bool
	policy  func() *tenant.Policy
	stager  Stager
	mounter Mounter
	goldens map[volume.Backend]Goldens
	busy    *inflight
	coming  arrivals
}

// NodeOptions are what a node service is made of.
type NodeOptions struct {
	// ID names this node to the CO.
	ID string
	// MaxVolumes overrides how many volumes the node can have; 0: what the
	// stager says.
	MaxVolumes int64
	// RequirePodInfo refuses to publish without the pod's namespace.
	RequirePodInfo bool
	Policy         func() *tenant.Policy
	Stager         Stager
	Mounter        Mounter
	// Goldens serve inline volumes; without a backend's it serves none of it.
	Goldens map[volume.Backend]Goldens
	Limits
}

// NewNode returns the node service.
func NewNode(o NodeOptions) *Node {
	return &Node{id: o.ID, limit: o.MaxVolumes, podInfo: o.RequirePodInfo, policy: o.Policy, stager: o.Stager, mounter: o.Mounter, goldens: o.Goldens, busy: newInflight(o.operation())}
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

// parseStage reads a NodeStageVolume request. As everywhere, what is missing
// or bad comes before a volume that is not there.
func parseStage(r *csi.NodeStageVolumeRequest) (st volume.Stage, err error) {
	if st.Path, err = parsePath("the staging path", r.GetStagingTargetPath()); err != nil {
		return st, err
	}
	use, err := parseCapability(r.GetVolumeCapability())
	if err != nil {
		return st, err
	}
	st.Block, st.FsType, st.ReadOnly, st.Options = use.block, use.fsType, use.readOnly, use.options
	if st.ID, err = volume.ParseID(r.GetVolumeId()); err != nil {
		return st, err
	}
	if err = use.fitsNodes(st.ID.Backend); err != nil {
		return st, err
	}
	if st.Credentials, err = parseCredentials(r.GetSecrets(), st.ReadOnly, stageSecret); err != nil {
		return st, err
	}
	return st, parseOthers(r.GetSecrets(), &st)
}

// parseOthers reads the secret's keys that a stage may need besides its own.
func parseOthers(secrets map[string]string, st *volume.Stage) (err error) {
	if secrets[tenant.FieldWriterUser] != "" {
		if st.Writer, err = parseCredentials(secrets, false, stageSecret); err != nil {
			return err
		}
	}
	st.Goldens, err = parseReaders(secrets)
	return err
}

// parseReaders reads the keys of goldens' readers.
func parseReaders(secrets map[string]string) (map[volume.GoldenRef]volume.Credentials, error) {
	all := tenant.GoldenReaders(secrets)
	for ref, c := range all {
		if !isUser(c.User) || !isKey(c.Key.Reveal()) {
			return nil, fmt.Errorf("the secret's field of golden %s is not <user>:<key>: %w", ref, volume.ErrInvalid)
		}
	}
	return all, nil
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
// NodePublishVolume). It makes no Ceph call, but for an inline volume.
func (n *Node) NodePublishVolume(ctx context.Context, r *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	if isInline(r.GetVolumeContext()) {
		return n.publishInline(ctx, r)
	}
	p, err := parsePublication(r)
	if err != nil {
		return nil, err
	}
	policy := n.policy()
	at, err := policy.Open(p.ID)
	if err != nil {
		return nil, err
	}
	if err := n.checkPod(policy, p.ID, r.GetVolumeContext()[podNamespace]); err != nil {
		return nil, err
	}
	err = n.busy.do(ctx, targetsOf(p.ID), func(ctx context.Context) error {
		return n.publish(ctx, at, p)
	})
	return &csi.NodePublishVolumeResponse{}, err
}

// publish shows what is staged, if it is the volume: the pod was compared with
// the ID, which names a tenant whatever is at the staging path.
func (n *Node) publish(ctx context.Context, at tenant.Place, p volume.Publication) error {
	err := n.stager.Shown(ctx, at, p.ID, p.Staging)
	if errors.Is(err, volume.ErrNotFound) {
		return fmt.Errorf("volume %s is not what is staged on %s: %w", p.ID, p.Staging, volume.ErrPrecondition)
	}
	if err != nil {
		return err
	}
	return n.mounter.Publish(ctx, p)
}

// targetsOf is the key of all publications of a volume on this node: one may
// depend on the others.
func targetsOf(id volume.ID) string { return "the targets of " + id.String() }

// checkPod says whether the pod may have the volume. Kubernetes tells the pod's
// namespace where the CSIDriver object asks for it; other COs do not.
func (n *Node) checkPod(policy *tenant.Policy, id volume.ID, namespace string) error {
	if namespace == "" && n.podInfo {
		return fmt.Errorf("the request does not tell the pod's namespace: set podInfoOnMount in the CSIDriver object: %w", volume.ErrDenied)
	}
	return policy.CheckPod(id, namespace)
}

func parsePublication(r *csi.NodePublishVolumeRequest) (p volume.Publication, err error) {
	if p.Target, err = parsePath("the target path", r.GetTargetPath()); err != nil {
		return p, err
	}
	use, err := parseCapability(r.GetVolumeCapability())
	if err != nil {
		return p, err
	}
	p.Block, p.ReadOnly, p.Alone = use.block, use.readOnly || r.GetReadonly(), use.alone
	if p.ID, err = volume.ParseID(r.GetVolumeId()); err != nil {
		return p, err
	}
	if err = use.fitsNodes(p.ID.Backend); err != nil {
		return p, err
	}
	p.Staging, err = parseStaged(r.GetStagingTargetPath(), p.Target)
	return p, err
}

// parseStaged checks the staging path of a publication. A target within it
// would hide the volume from its other targets.
func parseStaged(staging, target string) (string, error) {
	if staging == "" {
		return "", fmt.Errorf("the staging path is missing: the volume must be staged first: %w", volume.ErrPrecondition)
	}
	staging, err := parsePath("the staging path", staging)
	if err == nil && (target == staging || strings.HasPrefix(target, staging+"/")) {
		err = fmt.Errorf("the target path %.256q is in the staging path: %w", target, volume.ErrInvalid)
	}
	return staging, err
}

// NodeUnpublishVolume undoes NodePublishVolume (CSI spec,
// NodeUnpublishVolume).
func (n *Node) NodeUnpublishVolume(ctx context.Context, r *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	target, err := parsePath("the target path", r.GetTargetPath())
	if err != nil {
		return nil, err
	}
	id, err := volume.ParseID(r.GetVolumeId())
	if errors.Is(err, volume.ErrNotFound) {
		return &csi.NodeUnpublishVolumeResponse{}, n.unpublishInline(ctx, r.GetVolumeId(), target)
	}
	if err != nil {
		return nil, err
	}
	err = n.busy.do(ctx, targetsOf(id), func(ctx context.Context) error {
		return n.mounter.Unpublish(ctx, target)
	})
	return &csi.NodeUnpublishVolumeResponse{}, err
}

// NodeExpandVolume grows the device and the file system of a volume whose
// image has grown (CSI spec, NodeExpandVolume).
func (n *Node) NodeExpandVolume(ctx context.Context, r *csi.NodeExpandVolumeRequest) (*csi.NodeExpandVolumeResponse, error) {
	size, err := parseSize(r.GetCapacityRange())
	if err != nil {
		return nil, err
	}
	if _, err := parseOptional(r.GetVolumeCapability()); err != nil {
		return nil, err
	}
	id, path, err := parseShown(r.GetVolumeId(), r.GetVolumePath())
	if err != nil {
		return nil, err
	}
	at, err := n.policy().Open(id)
	if err != nil {
		return nil, err
	}
	err = n.busy.do(ctx, id.String(), func(ctx context.Context) error {
		return n.expand(ctx, at, id, path)
	})
	return &csi.NodeExpandVolumeResponse{CapacityBytes: size.Required}, err
}

// expand grows a volume that path shows. Its size is the image's: what was
// asked for is answered because the controller has met it.
func (n *Node) expand(ctx context.Context, at tenant.Place, id volume.ID, path string) error {
	if err := n.stager.Shown(ctx, at, id, path); err != nil {
		return err
	}
	return n.stager.Expand(ctx, at, id, path)
}
