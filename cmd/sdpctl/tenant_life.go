package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func newTenantRotateCommand(a *app) *cobra.Command {
	var finish bool
	cmd := onTenant(a, "rotate TENANT", "Replace a tenant's keys without unmounting anything",
		"  sdpctl tenant rotate acme\n  sdpctl tenant secret acme | kubectl apply -f -\n  sdpctl tenant rotate acme --finish",
		func(cmd *cobra.Command, r *tenant.Registrar, at tenant.Place) error {
			if finish {
				return a.finishRotation(cmd, r, at)
			}
			users, err := r.Rotate(cmd.Context(), at)
			if err != nil {
				return err
			}
			return a.printUsers(at, users, "Write the Secrets again (sdpctl tenant secret "+at.Tenant()+"), then run this with --finish.")
		})
	cmd.Long = "rotate makes new users beside the old ones, also those of the tenant's volumes in CephFS, whose keys are\n" +
		"in no Secret. With --finish it removes the old ones, and those of the readers of the tenant's goldens, that\n" +
		"no client is connected as; while some are in use it says which and ends with code 7."
	cmd.Flags().BoolVar(&finish, "finish", false, "remove old users that nothing is mapped with")
	return cmd
}

func (a *app) finishRotation(cmd *cobra.Command, r *tenant.Registrar, at tenant.Place) error {
	inUse, err := r.Finish(cmd.Context(), at)
	if err != nil {
		return err
	}
	if len(inUse) > 0 {
		return fmt.Errorf("nodes still have volumes mapped as %s; they go when their pods end: %w", orDash(userNames(inUse)), volume.ErrInUse)
	}
	return a.print(map[string]string{"tenant": at.Tenant()}, table{rows: [][]string{{"No old users are left."}}})
}

func newTenantRevokeCommand(a *app) *cobra.Command {
	cmd := onTenant(a, "revoke TENANT", "Cut a tenant off at once: remove its keys and shut its clients out",
		"  sdpctl tenant revoke acme", func(cmd *cobra.Command, r *tenant.Registrar, at tenant.Place) error {
			cut, err := r.Revoke(cmd.Context(), at)
			if err != nil {
				return err
			}
			return a.print(map[string]any{"tenant": at.Tenant(), "clients": cut},
				table{rows: [][]string{{fmt.Sprintf("Tenant %s has no keys any more, and %d clients of it were shut out.", at.Tenant(), cut)}}})
		})
	cmd.Long = "revoke removes all users of the tenant and of its volumes in CephFS, and blocklists every client that is\n" +
		"connected as one of them. Running functions get I/O errors for all that is not in their node's page cache; volumes of shared\n" +
		"goldens go on until they are unmapped (docs/reference/security.md). `tenant create` lets the tenant in again."
	return cmd
}

func newTenantDeleteCommand(a *app) *cobra.Command {
	return onTenant(a, "delete TENANT", "Remove a tenant's users, namespace and directory; refused while it has data",
		"  sdpctl tenant delete acme", func(cmd *cobra.Command, r *tenant.Registrar, at tenant.Place) error {
			if err := r.Delete(cmd.Context(), at); err != nil {
				return err
			}
			return a.print(map[string]string{"tenant": at.Tenant()}, table{rows: [][]string{{"Tenant " + at.Tenant() + " is deleted."}}})
		})
}
