package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// newTenantCommand returns `sdpctl tenant` with its commands.
func newTenantCommand(a *app) *cobra.Command {
	return group("tenant", "Make tenants, their users and keys; show them, rotate, revoke and delete them",
		newTenantCreateCommand(a), newTenantListCommand(a), newTenantShowCommand(a), newTenantSecretCommand(a),
		newTenantSyncCommand(a), newTenantRotateCommand(a), newTenantRevokeCommand(a), newTenantDeleteCommand(a))
}

// registrar returns what leads tenants through their life.
func (a *app) registrar() (*tenant.Registrar, error) {
	policy, err := a.loadPolicy()
	if err != nil {
		return nil, err
	}
	c, err := a.ceph()
	if err != nil {
		return nil, err
	}
	return tenant.NewRegistrar(policy, c, golden.NewCatalog(golden.NewLibrary(c, golden.Options{}), c), c), nil
}

// tenantArgument is the argument of most commands of this group.
func tenantArgument() cobra.PositionalArgs { return exactArgs(1, "a tenant's name") }

// clusterFlag adds --cluster.
func clusterFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "cluster", "", "cluster of the policy; not needed where there is one only")
}

// onTenant is a command that does something with a tenant's place.
func onTenant(a *app, use, short, example string, run func(*cobra.Command, *tenant.Registrar, tenant.Place) error) *cobra.Command {
	var cluster string
	cmd := &cobra.Command{Use: use, Short: short, Example: example, Args: tenantArgument()}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		at, err := a.place(args[0], cluster)
		if err != nil {
			return err
		}
		r, err := a.registrar()
		if err != nil {
			return err
		}
		return run(cmd, r, at)
	}
	clusterFlag(cmd, &cluster)
	return cmd
}

// userNames are the users as Ceph calls them.
func userNames(users []tenant.User) []string {
	names := make([]string, len(users))
	for i, u := range users {
		names[i] = "client." + u.String()
	}
	return names
}

// printUsers answers a command that made or replaced users.
func (a *app) printUsers(at tenant.Place, users []tenant.User, note string) error {
	answer := struct {
		Tenant  string   `json:"tenant"`
		Cluster string   `json:"cluster"`
		Users   []string `json:"users"`
	}{at.Tenant(), at.Cluster().ID, userNames(users)}
	if err := a.print(answer, table{header: []string{"TENANT", "CLUSTER", "USERS"}, rows: [][]string{{answer.Tenant, answer.Cluster, strings.Join(answer.Users, ", ")}}}); err != nil {
		return err
	}
	if note != "" && a.output == outputTable {
		fmt.Fprintln(a.stderr, note)
	}
	return nil
}

func newTenantCreateCommand(a *app) *cobra.Command {
	return onTenant(a, "create TENANT", "Make a tenant's RADOS namespace, directory in CephFS, and users; what is there stays",
		"  sdpctl tenant create acme", func(cmd *cobra.Command, r *tenant.Registrar, at tenant.Place) error {
			users, err := r.Create(cmd.Context(), at)
			if err != nil {
				return err
			}
			return a.printUsers(at, users, "Give the nodes its keys: sdpctl tenant secret "+at.Tenant()+" | kubectl apply -f -")
		})
}

func newTenantSyncCommand(a *app) *cobra.Command {
	var cluster string
	cmd := &cobra.Command{
		Use: "sync", Short: "Make what all users may do equal to the policy's grants and to the goldens there are",
		Long: "sync is to be run after a grant in the policy changed, and with CephFS after a limit did: it sets the\n" +
			"quotas of the tenants' directories. `golden import` runs it by itself.\n" +
			"Where a grant was withdrawn, the golden gets a new key, and sync names it: write the Secrets\n" +
			"of the tenants that keep the grant again.",
		Example: "  sdpctl tenant sync", Args: exactArgs(0, "no argument"),
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.syncTenants(cmd, cluster) }
	clusterFlag(cmd, &cluster)
	return cmd
}

func (a *app) syncTenants(cmd *cobra.Command, cluster string) error {
	policy, err := a.loadPolicy()
	if err != nil {
		return err
	}
	at, err := policy.Pool(cluster)
	if err != nil {
		return err
	}
	r, err := a.registrar()
	if err != nil {
		return err
	}
	rotated, err := r.Sync(cmd.Context(), at)
	if err != nil {
		return err
	}
	t := table{header: []string{"GOLDENS WITH A NEW KEY"}}
	names := []string{}
	for _, ref := range rotated {
		names = append(names, ref.String())
		t.rows = append(t.rows, []string{ref.String()})
	}
	return a.print(map[string][]string{"rotated": names}, t)
}

// grantGolden lets those who may use a golden that was just sealed read it.
// Whoever imports need not be able to change users: then another one has to.
func (a *app) grantGolden(ctx context.Context, at tenant.Place) error {
	r, err := a.registrar()
	if err != nil {
		return err
	}
	_, err = r.Sync(ctx, at)
	if errors.Is(err, volume.ErrDenied) {
		fmt.Fprintln(a.stderr, "This user may not change users: have `sdpctl tenant sync` run, or no other tenant can read the golden.")
		return nil
	}
	if err != nil {
		return fmt.Errorf("the golden is sealed, but who may read it is not settled, run `sdpctl tenant sync`: %w", err)
	}
	return nil
}
