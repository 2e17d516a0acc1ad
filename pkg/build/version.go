package build

import (
	"cmp"
	"runtime/debug"
)

// The linker writes over these, where what is built has no repository around
// it: the image's Dockerfile, by -X.
var (
	version  = ""
	revision = ""
)

// Version returns the version of the project.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return cmp.Or(version, "unknown")
	}
	return cmp.Or(version, info.Main.Version, "unknown")
}

// Revision returns the commit, or nothing where nobody told.
func Revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || revision != "" {
		return revision
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
