package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sdp-csi/sdp-csi/pkg/kubernetes/function"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// showFlags are those of `sdpctl function show`.
type showFlags struct {
	where
	target
	offline bool
}

func newFunctionShowCommand(a *app) *cobra.Command {
	f := &showFlags{}
	cmd := &cobra.Command{
		Use:   "show (KIND NAME | -f FILE [KIND NAME])",
		Short: "Show the goldens of a function, and whether they are still what was bound",
		Long: "show reads what `sdpctl function bind` wrote, compares the annotations with the volume and the mount,\n" +
			"and the digest with the golden's. It ends with code 4 where something does not match.",
		Example: "  sdpctl function show deployment classify -n acme\n  sdpctl function show -f ksvc.yaml --tenant acme -o json",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.showFunction(cmd, f, args) },
	}
	f.where.flags(cmd)
	f.target.flags(cmd)
	cmd.Flags().BoolVar(&f.offline, "offline", false, "only read the manifest: do not ask Ceph whether the goldens match")
	return cmd
}

// The states of what is bound.
const (
	stateBound   = "bound"   // nobody was asked
	stateMatches = "matches" // the golden is sealed and has that digest
)

// boundAnswer is a golden of a function as sdpctl shows it.
type boundAnswer struct {
	Path   string `json:"path"`
	Golden string `json:"golden"`
	Digest string `json:"digest"`
	Volume string `json:"volume"`          // inline, or the claim
	State  string `json:"state"`           // matches, bound, or what is wrong
	Broken bool   `json:"broken,omitzero"` // something is wrong
}

func newBoundAnswer(b function.Binding, state string) boundAnswer {
	kind := "inline"
	if b.Claim != "" {
		kind = "claim " + b.Claim
	}
	return boundAnswer{Path: b.Path, Golden: b.Golden.String(), Digest: b.Digest, Volume: kind, State: state,
		Broken: state != stateBound && state != stateMatches}
}

func (a *app) showFunction(cmd *cobra.Command, f *showFlags, args []string) error {
	if err := f.arguments(cmd, args); err != nil {
		return err
	}
	m, namespace, err := a.readFunction(cmd.Context(), f)
	if err != nil {
		return err
	}
	all, err := m.Bindings()
	if err != nil {
		return err
	}
	answers, broken := []boundAnswer{}, 0
	t := table{header: []string{"PATH", "GOLDEN", "DIGEST", "VOLUME", "STATE"}}
	for _, b := range all {
		state, err := a.boundState(cmd.Context(), f, namespace, b)
		if err != nil {
			return err
		}
		answer := newBoundAnswer(b.Binding, state)
		if answer.Broken {
			broken++
		}
		answers = append(answers, answer)
		t.rows = append(t.rows, []string{answer.Path, answer.Golden, answer.Digest, answer.Volume, answer.State})
	}
	if err := a.print(answers, t); err != nil {
		return err
	}
	if broken > 0 {
		return fmt.Errorf("%d of %d goldens of %s %s are not as they were bound: bind them again: %w", broken, len(all), m.Kind(), m.Name(), volume.ErrConflict)
	}
	return nil
}

func (a *app) readFunction(ctx context.Context, f *showFlags) (m *function.Manifest, namespace string, err error) {
	if f.file == "" {
		live, err := a.functions(f.at, f.target.namespace)
		if err != nil {
			return nil, "", err
		}
		m, err = live.Read(ctx, f.which)
		return m, live.Namespace(), err
	}
	file, err := a.readManifests(f.target)
	if err != nil {
		return nil, "", err
	}
	if m, err = file.Find(f.which); err != nil {
		return nil, "", err
	}
	return m, f.inPlaceOf(m), nil
}

// boundState says in words whether what is bound is what is there.
func (a *app) boundState(ctx context.Context, f *showFlags, namespace string, b function.Bound) (string, error) {
	switch {
	case b.Broken != "":
		return b.Broken, nil
	case f.offline:
		return stateBound, nil
	}
	owner, err := a.owner(where{tenant: f.tenant, cluster: cmp.Or(f.cluster, b.Cluster)}, namespace, b.Golden)
	if errors.Is(err, volume.ErrDenied) {
		return "not granted any more", nil
	}
	if err != nil {
		return "", err
	}
	all, err := a.libraries()
	if err != nil {
		return "", err
	}
	g, err := all.any().Get(ctx, owner, b.Golden)
	switch {
	case errors.Is(err, volume.ErrNotFound):
		return "the golden does not exist", nil
	case err != nil:
		return "", err
	case g.State != volume.GoldenReady:
		return "the golden is " + string(g.State), nil
	case g.Digest != b.Digest:
		return "the golden has digest " + g.Digest, nil
	case b.Claim == "" && g.Backend() != b.Backend:
		return "the golden is in backend " + string(g.Backend()), nil
	}
	return stateMatches, nil
}
