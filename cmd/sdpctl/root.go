package main

import (
	"cmp"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

const defaultPolicy = "/etc/sdp-csi/config.yaml"

// newRootCommand returns sdpctl with all its commands.
func newRootCommand(a *app) *cobra.Command {
	root := group("sdpctl", "Manage the goldens, tenants and volumes of sdp-csi",
		newGoldenCommand(a), newVolumeCommand(a), newTenantCommand(a), newFunctionCommand(a), newNodeCommand(a), newDoctorCommand(a), newVersionCommand(a))
	root.Long = "sdpctl manages the shared data plane: goldens (sealed data sets that functions get clones of),\n" +
		"tenants and volumes. `sdpctl node` looks at the machine that it runs on.\n\n" + exitCodesHelp
	root.Example = `  sdpctl golden import --tenant acme resnet50:v1 ./model.h5
  sdpctl golden list --tenant acme -o json
  sdpctl volume list --tenant acme`
	root.SilenceUsage, root.SilenceErrors = true, true
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return a.checkOutput() }
	flags := root.PersistentFlags()
	flags.StringVar(&a.policyPath, "config", cmp.Or(os.Getenv("SDP_CONFIG"), defaultPolicy), "policy file (environment: SDP_CONFIG)")
	flags.StringVarP(&a.output, "output", "o", outputTable, "table, json or yaml")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w: run `%s --help`: %w", err, cmd.CommandPath(), errUsage)
	})
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	return root
}

// exactArgs is cobra's check with an error that the exit codes know.
func exactArgs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return fmt.Errorf("%s needs %s, got %d arguments: %w", cmd.CommandPath(), what, len(args), errUsage)
		}
		return nil
	}
}

// group is a command that only has commands.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("%s has no command %.32q: run `%s --help`: %w", cmd.CommandPath(), args[0], cmd.CommandPath(), errUsage)
		}
		return nil
	}, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(commands...)
	return cmd
}
