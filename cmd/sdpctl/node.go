package main

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	cephfuse "github.com/sdp-csi/sdp-csi/pkg/cephfs/fuse"
	"github.com/sdp-csi/sdp-csi/pkg/mount"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/fuse"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/krbd"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/nbd"
	"github.com/sdp-csi/sdp-csi/pkg/sharing"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// survey tells which goldens a node has mapped. Tests put a fake here.
type survey func(ctx context.Context, stateDir string) ([]sharedAnswer, error)

func newNodeCommand(a *app) *cobra.Command {
	return group("node", "Look at this node", newNodeStatusCommand(a))
}

func newNodeStatusCommand(a *app) *cobra.Command {
	stateDir := ""
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show which goldens this node has mapped, and who shares them",
		Long: "Shows the goldens that this node has mapped, from the kernel: it needs no policy file, no Ceph and no\n" +
			"running driver, but the driver's view of the mounts (in Kubernetes: run it in the driver's pod).\n" +
			"A golden without sharers lingers for the next function (--golden-linger of the driver).",
		Example: "  sdpctl node status\n  sdpctl node status -o json",
		Args:    exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := a.survey(cmd.Context(), stateDir)
			if err != nil {
				return err
			}
			return a.print(all, sharedTable(all))
		},
	}
	cmd.Flags().StringVar(&stateDir, "state-dir", "/run/sdp-csi", "the driver's --state-dir")
	return cmd
}

// sharedAnswer is a golden of a node as sdpctl shows it.
type sharedAnswer struct {
	Golden   string   `json:"golden"` // tenant/name:version
	Pool     string   `json:"pool"`
	ImageID  string   `json:"imageID"`
	Device   string   `json:"device"` // cephfs where it is a mount of that
	Path     string   `json:"path"`
	Sharers  []string `json:"sharers"` // IDs of volumes
	Cached   int64    `json:"cached"`  // bytes; -1 where the kernel does not tell
	Lingers  bool     `json:"lingers"`
	ReadOnly bool     `json:"readOnly"`
}

func sharedTable(all []sharedAnswer) table {
	t := table{header: []string{"GOLDEN", "DEVICE", "SHARERS", "CACHED", "STATE"}}
	for _, g := range all {
		state := "in use"
		if g.Lingers {
			state = "lingers"
		}
		cached := "-"
		if g.Cached >= 0 {
			cached = bytesText(g.Cached)
		}
		t.rows = append(t.rows, []string{g.Golden, g.Device, strconv.Itoa(len(g.Sharers)), cached, state})
	}
	return t
}

// surveyNode asks this node's kernel.
func surveyNode(ctx context.Context, stateDir string) ([]sharedAnswer, error) {
	host := mount.NewHost()
	images, err := surveyImages(ctx, host, stateDir)
	if err != nil {
		return nil, err
	}
	files, err := surveyFiles(ctx, host, stateDir)
	return append(images, files...), err
}

func surveyImages(ctx context.Context, host *mount.Host, stateDir string) ([]sharedAnswer, error) {
	mappers := rbd.Kinds(krbd.New("/sys", "/dev"), nbd.New(nbd.Options{}), fuse.New(fuse.Options{StateDir: stateDir}))
	all, err := rbd.NewStager(nil, mappers, host, nil).Share(rbd.Sharing{StateDir: stateDir}).Shared(ctx)
	answers := []sharedAnswer{}
	for _, g := range all {
		answers = append(answers, sharedAnswer{
			Golden: goldenOf(g.Namespace, g.Image), Pool: g.Pool, ImageID: g.ImageID, Device: g.Device.Path, Path: g.Path,
			Sharers: g.Sharers, Lingers: len(g.Sharers) == 0, ReadOnly: g.ReadOnly, Cached: cached(ctx, host, g.Path),
		})
	}
	return answers, err
}

// surveyFiles tells of goldens in CephFS, which are mounts and no devices.
func surveyFiles(ctx context.Context, host *mount.Host, stateDir string) (answers []sharedAnswer, err error) {
	m := cephfuse.New(cephfuse.Options{Host: host, StateDir: stateDir})
	all, err := cephfs.NewStager(nil, m, host, nil).Share(sharing.Options{StateDir: stateDir}).Shared(ctx)
	for _, g := range all {
		// <tenant>.<subvolume> is the last part; a tenant's name has no dot.
		tenant, image, _ := strings.Cut(filepath.Base(g.Root), ".")
		answers = append(answers, sharedAnswer{
			Golden: goldenOf(tenant, image), Device: string(volume.CephFS), Path: g.Path, Sharers: g.Sharers, Lingers: len(g.Sharers) == 0,
			ReadOnly: true, Cached: cached(ctx, host, filepath.Join(g.Path, ".snap", volume.SealedSnapshot)),
		})
	}
	return answers, err
}

// goldenOf names the golden that an image of a tenant is, as volume.GoldenRef
// does. A golden's own name has no dot.
func goldenOf(tenant, image string) string {
	ref := volume.GoldenRef{Tenant: tenant}
	ref.Name, ref.Version, _ = strings.Cut(strings.TrimPrefix(image, "golden."), ".")
	if ref.Image() != image {
		return tenant + "/" + image
	}
	return ref.String()
}

// cached is how much of a directory is in the page cache. An older kernel does
// not tell, and a dead mount cannot be walked: -1.
func cached(ctx context.Context, host *mount.Host, dir string) int64 {
	n, err := host.Cached(ctx, dir)
	if err != nil {
		return -1
	}
	return n
}
