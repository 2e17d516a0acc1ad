package main

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
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
			v := buildVersion()
			return a.print(v, table{rows: [][]string{{"version", v.Version}, {"commit", v.Commit}, {"go", v.Go}}})
		},
	}
}

// buildVersion reads what the Go tool wrote into the binary.
func buildVersion() versionAnswer {
	v := versionAnswer{Version: "unknown", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version = info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Commit = s.Value
		}
	}
	return v
}
