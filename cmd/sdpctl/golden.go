package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// where are the flags that say whose data a command is about.
type where struct {
	tenant  string
	cluster string
}

func (w *where) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&w.tenant, "tenant", "", "tenant of the policy file")
	cmd.Flags().StringVar(&w.cluster, "cluster", "", "cluster of the policy file, where it has several")
}

func newGoldenCommand(a *app) *cobra.Command {
	cmd := group("golden", "Import, list, show, retire and delete goldens",
		newGoldenImportCommand(a), newGoldenListCommand(a), newGoldenShowCommand(a),
		newGoldenRetireCommand(a), newGoldenDeleteCommand(a))
	cmd.Long = "A golden is a named, immutable data set of a tenant, like a model's weights.\n" +
		"Volumes made from it that only read cost no space of their own. It lies in RBD, as an image, or in CephFS, as files."
	cmd.Example = `  sdpctl golden import --tenant acme resnet50:v1 ./model.h5
  sdpctl golden import --tenant acme --backend cephfs corpus:2026-11 ./corpus/
  sdpctl golden show acme/resnet50:v1`
	return cmd
}

// golden reads name:version, or tenant/name:version in place of --tenant, and
// returns where it lies.
func (a *app) golden(w where, text string) (tenant.Place, volume.GoldenRef, error) {
	ref, err := volume.ParseGoldenRef(text)
	if err != nil {
		return tenant.Place{}, ref, err
	}
	if w.tenant != "" && ref.Tenant != "" && w.tenant != ref.Tenant {
		return tenant.Place{}, ref, fmt.Errorf("--tenant %s and golden %s name two tenants: leave one out: %w", w.tenant, ref, volume.ErrInvalid)
	}
	if ref.Tenant == "" {
		ref.Tenant = w.tenant
	}
	at, err := a.place(ref.Tenant, w.cluster)
	return at, ref, err
}

// libraries are the goldens of the cluster, by the backend that has them.
// Their names are the same everywhere: any library knows all of them.
type libraries map[volume.Backend]*golden.Library

func (a *app) libraries() (libraries, error) {
	c, err := a.ceph()
	if err != nil {
		return nil, err
	}
	o := golden.Options{Grace: a.grace}
	return libraries{volume.RBD: golden.NewLibrary(c, o), volume.CephFS: golden.NewLibrary(a.files, o)}, nil
}

// any returns a library for what has nothing to do with a backend.
func (l libraries) any() *golden.Library { return l[volume.RBD] }

// of returns the library of a golden that is there, whole or begun.
func (l libraries) of(ctx context.Context, at tenant.Place, ref volume.GoldenRef) (*golden.Library, error) {
	g, err := l.any().Get(ctx, at, ref)
	if err != nil {
		return nil, err
	}
	return l[g.Backend()], nil
}

// defaultGrace is much longer than goldens linger on nodes.
const defaultGrace = 24 * time.Hour

// withGolden runs a verb on the golden that the only argument names.
func (a *app) withGolden(w *where, verb func(context.Context, *golden.Library, tenant.Place, volume.GoldenRef) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		at, ref, err := a.golden(*w, args[0])
		if err != nil {
			return err
		}
		all, err := a.libraries()
		if err != nil {
			return err
		}
		l, err := all.of(cmd.Context(), at, ref)
		if err != nil {
			return err
		}
		return verb(cmd.Context(), l, at, ref)
	}
}

func newGoldenShowCommand(a *app) *cobra.Command {
	w := &where{}
	cmd := &cobra.Command{
		Use:     "show NAME:VERSION",
		Short:   "Show a golden and how many volumes hang on it",
		Example: "  sdpctl golden show --tenant acme resnet50:v1\n  sdpctl golden show acme/resnet50:v1 -o json",
		Args:    exactArgs(1, "the golden's NAME:VERSION"),
		RunE: a.withGolden(w, func(ctx context.Context, l *golden.Library, at tenant.Place, ref volume.GoldenRef) error {
			g, err := l.Get(ctx, at, ref)
			if err != nil {
				return err
			}
			clones, err := l.Children(ctx, at, ref)
			if err != nil {
				return err
			}
			answer := newGoldenAnswer(at, g)
			answer.Clones = &clones
			return a.print(answer, answer.details())
		}),
	}
	w.flags(cmd)
	return cmd
}

func newGoldenRetireCommand(a *app) *cobra.Command {
	w := &where{}
	cmd := &cobra.Command{
		Use:     "retire NAME:VERSION",
		Short:   "End new use of a golden; volumes made from it go on",
		Example: "  sdpctl golden retire --tenant acme resnet50:v1",
		Args:    exactArgs(1, "the golden's NAME:VERSION"),
		RunE: a.withGolden(w, func(ctx context.Context, l *golden.Library, at tenant.Place, ref volume.GoldenRef) error {
			if err := l.Retire(ctx, at, ref); err != nil {
				return err
			}
			return a.printState(ref, volume.GoldenRetired)
		}),
	}
	w.flags(cmd)
	return cmd
}

func newGoldenDeleteCommand(a *app) *cobra.Command {
	w := &where{}
	cmd := &cobra.Command{
		Use:   "delete NAME:VERSION",
		Short: "Delete a golden that no volume hangs on, or what an interrupted import left",
		Long: "Deletes a golden. It is refused while volumes made from the golden exist; `sdpctl golden retire`\n" +
			"keeps new ones from being made. The golden is retired at once. Its data goes when nodes have had\n" +
			"--retire-grace to let go of it and none says that it reads it: the controller does that, or the same\n" +
			"command again. The name and version of a golden are never used again.",
		Example: "  sdpctl golden delete --tenant acme resnet50:v1",
		Args:    exactArgs(1, "the golden's NAME:VERSION"),
		RunE: a.withGolden(w, func(ctx context.Context, l *golden.Library, at tenant.Place, ref volume.GoldenRef) error {
			err := l.Delete(ctx, at, ref)
			var waiting *golden.Waiting
			if errors.As(err, &waiting) {
				return a.print(stateAnswer{ref.String(), volume.GoldenRetired}, table{rows: [][]string{{waiting.Message()}}})
			}
			if err != nil {
				return err
			}
			return a.printState(ref, volume.GoldenDeleted)
		}),
	}
	w.flags(cmd)
	cmd.Flags().DurationVar(&a.grace, "retire-grace", defaultGrace, "how long nodes have to let go of the golden; longer than the driver's --golden-linger")
	return cmd
}

// stateAnswer is what a verb that changes a golden's state answers.
type stateAnswer struct {
	Golden string             `json:"golden"`
	State  volume.GoldenState `json:"state"`
}

func (a *app) printState(ref volume.GoldenRef, state volume.GoldenState) error {
	return a.print(stateAnswer{ref.String(), state}, table{rows: [][]string{{"golden " + ref.String() + " is " + string(state)}}})
}

// goldenAnswer is a golden as sdpctl shows it.
type goldenAnswer struct {
	Golden     string             `json:"golden"` // tenant/name:version
	Cluster    string             `json:"cluster"`
	Backend    volume.Backend     `json:"backend"`
	State      volume.GoldenState `json:"state"`
	FsType     string             `json:"fsType"`
	Size       int64              `json:"size"`
	DataBytes  int64              `json:"dataBytes"`
	Digest     string             `json:"digest,omitempty"`
	ImageID    string             `json:"imageID,omitempty"`
	SnapshotID uint64             `json:"snapshotID,omitempty"`
	Source     string             `json:"source,omitempty"`
	Created    time.Time          `json:"created"`
	Clones     *int               `json:"clones,omitempty"`
}

func newGoldenAnswer(at tenant.Place, g volume.Golden) goldenAnswer {
	return goldenAnswer{
		Golden: g.Ref.String(), Cluster: at.Cluster().ID, Backend: g.Backend(), State: g.State, FsType: g.FsType, Size: g.Size,
		DataBytes: g.DataBytes, Digest: g.Digest, ImageID: g.ImageID, SnapshotID: g.SnapshotID,
		Source: g.Source, Created: g.Created,
	}
}

// details is the golden as a table of its properties.
func (g goldenAnswer) details() table {
	rows := [][]string{
		{"golden", g.Golden}, {"cluster", g.Cluster}, {"backend", string(g.Backend)}, {"state", string(g.State)}, {"file system", g.FsType},
		{"size", bytesText(g.Size)}, {"data", bytesText(g.DataBytes)}, {"digest", g.Digest},
		{"image", g.ImageID}, {"source", g.Source}, {"created", timeText(g.Created)},
	}
	if g.Clones != nil {
		rows = append(rows, []string{"clones", strconv.Itoa(*g.Clones)})
	}
	return table{rows: rows}
}
