package volume

import (
	"fmt"
	"slices"
	"strings"
)

// CheckOption refuses a mount option that is not known to be harmless to the
// node and to the data, and a reader's where the volume is written. It wraps
// ErrInvalid.
func CheckOption(option string, readOnly bool) error {
	known := []string{"noatime", "nodiratime", "relatime", "strictatime", "noexec", "nodev", "nosuid", "discard", "nodiscard"}
	switch {
	case slices.Contains(known, option), option == "ro" && readOnly:
		return nil
	case option == "ro":
		return fmt.Errorf("mount option ro: ask for a reader's access mode instead: %w", ErrInvalid)
	}
	return fmt.Errorf("mount option %.64q is not known to be harmless: use some of %s: %w", option, strings.Join(known, ", "), ErrInvalid)
}
