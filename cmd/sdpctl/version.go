package main

import (
	"runtime"

	"github.com/spf13/cobra"

	"github.com/sdp-csi/sdp-csi/pkg/build"
)

// versionAnswer is what `sdpctl version` tells.
type versionAnswer struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
}

func newVersionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  sdpctl version -o json",
		Args:    exactArgs(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			v := versionAnswer{Version: build.Version(), Commit: build.Revision(), Go: runtime.Version()}
			return a.print(v, table{rows: [][]string{{"version", v.Version}, {"commit", v.Commit}, {"go", v.Go}}})
		},
	}
}
