package driver

import (
	"context"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"k8s.io/klog/v2"
)

// Name is the driver's name, as a StorageClass's provisioner.
const Name = "csi.sdp.dev"

// The limits of a probe. An answer comes within probeTimeout: a
// livenessprobe's usual time-out is longer. A question that Ceph has not
// answered goes on for probeLimit at most, and meanwhile no other is asked.
const (
	probeTimeout = 3 * time.Second
	probeLimit   = time.Minute
)

// Identity answers who the driver is and whether it can work.
type Identity struct {
	csi.UnimplementedIdentityServer
	version    string
	controller bool
	reachable  func(context.Context) error
	busy       *inflight
}

// NewIdentity returns the identity service. controller says whether the
// controller service is served beside it; reachable, whether Ceph answers. It
// is never called twice at a time, so one that outlives its context holds
// nothing up but later probes, which then say that Ceph does not answer.
func NewIdentity(version string, controller bool, reachable func(context.Context) error) *Identity {
	return &Identity{version: version, controller: controller, reachable: reachable, busy: newInflight(probeLimit)}
}

// GetPluginInfo returns the name and version (CSI spec, GetPluginInfo).
func (i *Identity) GetPluginInfo(context.Context, *csi.GetPluginInfoRequest) (*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{Name: Name, VendorVersion: i.version}, nil
}

// GetPluginCapabilities says whether there is a controller service, and that
// volumes grow while they are in use (CSI spec, GetPluginCapabilities).
func (i *Identity) GetPluginCapabilities(context.Context, *csi.GetPluginCapabilitiesRequest) (*csi.GetPluginCapabilitiesResponse, error) {
	resp := &csi.GetPluginCapabilitiesResponse{Capabilities: []*csi.PluginCapability{{
		Type: &csi.PluginCapability_VolumeExpansion_{VolumeExpansion: &csi.PluginCapability_VolumeExpansion{
			Type: csi.PluginCapability_VolumeExpansion_ONLINE,
		}},
	}}}
	if i.controller {
		resp.Capabilities = append(resp.Capabilities, &csi.PluginCapability{
			Type: &csi.PluginCapability_Service_{Service: &csi.PluginCapability_Service{
				Type: csi.PluginCapability_Service_CONTROLLER_SERVICE,
			}},
		})
	}
	return resp, nil
}

// Probe says whether Ceph is reachable, in at most probeTimeout (CSI spec,
// Probe). Without Ceph the driver is healthy but not ready: restarting it
// would not help.
func (i *Identity) Probe(ctx context.Context, _ *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err := i.busy.do(ctx, "the probe", func(own context.Context) error {
		deadline, _ := ctx.Deadline()
		own, cancel := context.WithDeadline(own, deadline)
		defer cancel()
		return i.reachable(own)
	})
	if err != nil {
		klog.FromContext(ctx).Error(err, "ceph is not reachable")
	}
	return &csi.ProbeResponse{Ready: wrapperspb.Bool(err == nil)}, nil
}
