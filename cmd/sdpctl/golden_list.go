package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// page is how many records a list asks for at once.
const page = 256

func newGoldenListCommand(a *app) *cobra.Command {
	w, all := &where{}, false
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List goldens, of one tenant or of all in the policy",
		Example: `  sdpctl golden list
  sdpctl golden list --tenant acme -o json
  sdpctl golden list --all`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			places, err := a.places(*w)
			if err != nil {
				return err
			}
			l, err := a.libraries()
			if err != nil {
				return err
			}
			found, err := listGoldens(cmd.Context(), l.any(), places, all)
			if err != nil {
				return err
			}
			return a.print(found, goldenTable(found))
		},
	}
	w.flags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "deleted ones too, whose names stay taken")
	return cmd
}

// places returns the place that the flags name, or all of the policy.
func (a *app) places(w where) ([]tenant.Place, error) {
	if w.tenant != "" {
		at, err := a.place(w.tenant, w.cluster)
		return []tenant.Place{at}, err
	}
	p, err := a.loadPolicy()
	if err != nil {
		return nil, err
	}
	if w.cluster != "" {
		if _, err := p.Pool(w.cluster); err != nil {
			return nil, err
		}
	}
	var places []tenant.Place
	for _, at := range p.Places() {
		if w.cluster == "" || at.Cluster().ID == w.cluster {
			places = append(places, at)
		}
	}
	return places, nil
}

func listGoldens(ctx context.Context, l *golden.Library, places []tenant.Place, all bool) ([]goldenAnswer, error) {
	found := []goldenAnswer{}
	for _, at := range places {
		after := ""
		for {
			some, next, err := l.List(ctx, at, after, page)
			if err != nil {
				return nil, err
			}
			for _, g := range some {
				if all || g.State != volume.GoldenDeleted {
					found = append(found, newGoldenAnswer(at, g))
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

func goldenTable(all []goldenAnswer) table {
	t := table{header: []string{"GOLDEN", "STATE", "BACKEND", "FS", "SIZE", "CREATED", "SOURCE"}}
	for _, g := range all {
		t.rows = append(t.rows, []string{g.Golden, string(g.State), string(g.Backend), g.FsType, bytesText(g.DataBytes), timeText(g.Created), g.Source})
	}
	return t
}
