package driver

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Backend is one kind of storage.
type Backend interface {
	Provisioner
	Snapshotter
}

// Controller is the CSI controller service.
type Controller struct {
	csi.UnimplementedControllerServer
	policy   func() *tenant.Policy
	backends map[volume.Backend]Backend
	fallback string // the tenant of requests without a namespace; may be empty
	busy     *inflight
}

// ControllerOptions are what a controller service is made of.
type ControllerOptions struct {
	// Policy returns the policy in force. It is asked once a request.
	Policy func() *tenant.Policy
	// Backends are the kinds of storage served.
	Backends map[volume.Backend]Backend
	// DefaultTenant takes requests that name no namespace. Empty: they are
	// refused.
	DefaultTenant string
	Limits
}

// NewController returns the controller service.
func NewController(o ControllerOptions) *Controller {
	return &Controller{policy: o.Policy, backends: o.Backends, fallback: o.DefaultTenant, busy: newInflight(o.operation())}
}

// controllerCapabilities are what the controller advertises.
var controllerCapabilities = [...]csi.ControllerServiceCapability_RPC_Type{
	csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
	csi.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT,
	csi.ControllerServiceCapability_RPC_CLONE_VOLUME,
	csi.ControllerServiceCapability_RPC_EXPAND_VOLUME,
	csi.ControllerServiceCapability_RPC_LIST_VOLUMES,
	csi.ControllerServiceCapability_RPC_LIST_SNAPSHOTS,
	csi.ControllerServiceCapability_RPC_GET_CAPACITY,
	csi.ControllerServiceCapability_RPC_GET_VOLUME,
	csi.ControllerServiceCapability_RPC_GET_SNAPSHOT,
	csi.ControllerServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	csi.ControllerServiceCapability_RPC_GET_VOLUME_HEALTH,
}

// ControllerGetCapabilities lists what the controller serves (CSI spec,
// ControllerGetCapabilities).
func (c *Controller) ControllerGetCapabilities(context.Context, *csi.ControllerGetCapabilitiesRequest) (*csi.ControllerGetCapabilitiesResponse, error) {
	resp := &csi.ControllerGetCapabilitiesResponse{}
	for _, t := range controllerCapabilities {
		resp.Capabilities = append(resp.Capabilities, &csi.ControllerServiceCapability{
			Type: &csi.ControllerServiceCapability_Rpc{Rpc: &csi.ControllerServiceCapability_RPC{Type: t}},
		})
	}
	return resp, nil
}

// backend returns the storage of an ID; ErrNotFound when it is not served here.
func (c *Controller) backend(b volume.Backend) (Backend, error) {
	if be, ok := c.backends[b]; ok {
		return be, nil
	}
	return nil, fmt.Errorf("backend %s is not served by this driver: %w", b, volume.ErrNotFound)
}

// kinds returns the backends in a fixed order, for lists.
func (c *Controller) kinds() []volume.Backend {
	return slices.Sorted(maps.Keys(c.backends))
}

// open finds the backend and place of a volume that is to be used.
func (c *Controller) open(id volume.ID) (Backend, tenant.Place, error) {
	be, err := c.backend(id.Backend)
	if err != nil {
		return nil, tenant.Place{}, err
	}
	at, err := c.policy().Open(id)
	return be, at, err
}

// release finds the backend and place of a volume that is to be given up. A
// backend that is not served could have it still: that is no success.
func (c *Controller) release(id volume.ID) (Backend, tenant.Place, error) {
	be, ok := c.backends[id.Backend]
	if !ok {
		return nil, tenant.Place{}, fmt.Errorf("%s: run a driver that serves backend %s: %w", id, id.Backend, volume.ErrPrecondition)
	}
	at, err := c.policy().Release(id)
	return be, at, err
}
