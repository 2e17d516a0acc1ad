package main

import (
	"context"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sdp-csi/sdp-csi/pkg/mount"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/fuse"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/krbd"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/nbd"
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
	Golden   string   `json:"golden"` // tenant/image
	Pool     string   `json:"pool"`
	ImageID  string   `json:"imageID"`
	Device   string   `json:"device"`
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
	mappers := rbd.Kinds(krbd.New("/sys", "/dev"), nbd.New(nbd.Options{}), fuse.New(fuse.Options{StateDir: stateDir}))
	all, err := rbd.NewStager(nil, mappers, host, nil).Share(rbd.Sharing{StateDir: stateDir}).Shared(ctx)
	if err != nil {
		return nil, err
	}
	answers := []sharedAnswer{}
	for _, g := range all {
		answer := sharedAnswer{
			Golden: filepath.Join(g.Namespace, g.Image), Pool: g.Pool, ImageID: g.ImageID, Device: g.Device.Path, Path: g.Path,
			Sharers: g.Sharers, Lingers: len(g.Sharers) == 0, ReadOnly: g.ReadOnly,
		}
		// An older kernel does not tell, and a dead mapping cannot be walked.
		if answer.Cached, err = host.Cached(ctx, g.Path); err != nil {
			answer.Cached = -1
		}
		answers = append(answers, answer)
	}
	return answers, nil
}
