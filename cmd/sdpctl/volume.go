package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func newVolumeCommand(a *app) *cobra.Command {
	cmd := group("volume", "List volumes", newVolumeListCommand(a))
	cmd.Example = "  sdpctl volume list --tenant acme"
	return cmd
}

// volumeAnswer is a volume as sdpctl shows it.
type volumeAnswer struct {
	ID       string         `json:"id"`
	Backend  volume.Backend `json:"backend"`
	Tenant   string         `json:"tenant"`
	Name     string         `json:"name"`
	Capacity int64          `json:"capacity"`
	ReadOnly bool           `json:"readOnly"`
	Block    bool           `json:"block"`
	FsType   string         `json:"fsType,omitempty"`
	Source   string         `json:"source,omitempty"`
	Created  time.Time      `json:"created"`
}

func newVolumeListCommand(a *app) *cobra.Command {
	w, from := &where{}, ""
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List volumes of both backends, of one tenant or of all in the policy",
		Example: `  sdpctl volume list --tenant acme
  sdpctl volume list --golden acme/resnet50:v1`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.listVolumes(cmd.Context(), *w, from) },
	}
	w.flags(cmd)
	cmd.Flags().StringVar(&from, "golden", "", "only volumes made from this TENANT/NAME:VERSION")
	return cmd
}

func (a *app) listVolumes(ctx context.Context, w where, from string) error {
	var only volume.GoldenRef
	if from != "" {
		var err error
		if _, only, err = a.golden(where{cluster: w.cluster, tenant: tenantOf(w, from)}, from); err != nil {
			return err
		}
	}
	places, err := a.places(w)
	if err != nil {
		return err
	}
	c, err := a.ceph()
	if err != nil {
		return err
	}
	found := []volumeAnswer{}
	for _, l := range a.listers(c) {
		some, err := listVolumes(ctx, l, places, only)
		if err != nil {
			return err
		}
		found = append(found, some...)
	}
	return a.print(found, volumeTable(found))
}

// lister lists the volumes of one backend.
type lister interface {
	List(ctx context.Context, at tenant.Place, after string, limit int) ([]volume.Volume, string, error)
}

func (a *app) listers(c cluster) []lister {
	return []lister{
		rbd.NewProvisioner(c, golden.NewLibrary(c, golden.Options{})),
		cephfs.NewProvisioner(a.files, golden.NewLibrary(a.files, golden.Options{}), cephfs.Options{}),
	}
}

func listVolumes(ctx context.Context, l lister, places []tenant.Place, only volume.GoldenRef) (found []volumeAnswer, err error) {
	for _, at := range places {
		after := ""
		for {
			some, next, err := l.List(ctx, at, after, page)
			if err != nil {
				return nil, err
			}
			for _, v := range some {
				if only == (volume.GoldenRef{}) || isOf(at, v.Source.Golden, only) {
					found = append(found, newVolumeAnswer(at, v))
				}
			}
			if next == "" {
				break
			}
			after = next
		}
	}
	return found, nil
}

func newVolumeAnswer(at tenant.Place, v volume.Volume) volumeAnswer {
	answer := volumeAnswer{
		ID: v.ID.String(), Backend: v.ID.Backend, Tenant: at.Tenant(), Name: v.Name, Capacity: v.Capacity, ReadOnly: v.ReadOnly,
		Block: v.Block, FsType: v.FsType, Created: v.Created,
	}
	if !v.Source.IsZero() {
		answer.Source = v.Source.String()
	}
	return answer
}

// isOf says whether a volume's golden, which names no tenant where it is the
// volume's own, is the one that is looked for.
func isOf(at tenant.Place, golden, only volume.GoldenRef) bool {
	if golden.Tenant == "" && golden.Name != "" {
		golden.Tenant = at.Tenant()
	}
	return golden == only
}

// tenantOf is the tenant of a golden that is named without one.
func tenantOf(w where, golden string) string {
	if ref, err := volume.ParseGoldenRef(golden); err == nil && ref.Tenant != "" {
		return ref.Tenant
	}
	return w.tenant
}

func volumeTable(all []volumeAnswer) table {
	t := table{header: []string{"TENANT", "NAME", "BACKEND", "CAPACITY", "ACCESS", "KIND", "SOURCE", "CREATED", "ID"}}
	for _, v := range all {
		access, kind := "write", v.FsType
		if v.ReadOnly {
			access = "read"
		}
		if v.Block {
			kind = "block"
		}
		t.rows = append(t.rows, []string{v.Tenant, v.Name, string(v.Backend), bytesText(v.Capacity), access, kind, v.Source, timeText(v.Created), v.ID})
	}
	return t
}
