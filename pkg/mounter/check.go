package mounter

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The limits of an order.
const (
	maxArguments = 64
	maxWord      = 4096
	maxLabel     = 4096
	maxFiles     = 4 // beside the output
)

// rule is what one program may get.
type rule struct {
	tells func(stateDir string, arguments []string) bool
	files func(arguments []string) []uint32 // their kinds, as in st_mode
}

// rules are those of the programs there are.
func rules() map[string]rule {
	return map[string]rule{
		Export:   {tells: tellsExport, files: func([]string) []uint32 { return []uint32{unix.S_IFSOCK} }},
		NBD:      {tells: tellsNBD, files: nbdFiles},
		CephFUSE: {tells: tellsCephFUSE, files: func([]string) []uint32 { return []uint32{unix.S_IFREG} }},
	}
}

// Check refuses what the program may not get: other words than those that this
// project's mappers say, a place to mount that is not below stateDir, other
// files than it needs. It wraps volume.ErrInvalid.
func (o Order) Check(stateDir string) error {
	r, ok := rules()[o.Program]
	switch {
	case !ok:
		return fmt.Errorf("%.64q is no program of the mounter's: %w", o.Program, volume.ErrInvalid)
	case len(o.Arguments) > maxArguments || !r.tells(stateDir, o.Arguments):
		return fmt.Errorf("%s must not be told %.512q: %w", o.Program, o.Arguments, volume.ErrInvalid)
	case len(o.Label) > maxLabel || strings.ContainsFunc(o.Label, isNoGraphic):
		return fmt.Errorf("a label is one printed line of at most %d bytes: %w", maxLabel, volume.ErrInvalid)
	case o.Output == nil || !isKind(o.Output, unix.S_IFREG):
		return fmt.Errorf("%s needs a file for what it says: %w", o.Program, volume.ErrInvalid)
	}
	kinds := r.files(o.Arguments)
	if len(kinds) != len(o.Files) {
		return fmt.Errorf("%s gets %d files, not %d: %w", o.Program, len(kinds), len(o.Files), volume.ErrInvalid)
	}
	for i, kind := range kinds {
		if !isKind(o.Files[i], kind) {
			return fmt.Errorf("file %d of %s is of another kind: %w", i, o.Program, volume.ErrInvalid)
		}
	}
	return nil
}

func isNoGraphic(r rune) bool { return !unicode.IsGraphic(r) }

func isKind(file *os.File, kind uint32) bool {
	var stat unix.Stat_t
	return unix.Fstat(int(file.Fd()), &stat) == nil && stat.Mode&unix.S_IFMT == kind
}

// tellsExport: the directory to mount on.
func tellsExport(stateDir string, arguments []string) bool {
	return len(arguments) == 1 && isPlace(stateDir, arguments[0])
}

// isPlace says whether a path is that of a directory below stateDir, without
// detours.
func isPlace(stateDir, path string) bool {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path || !strings.HasPrefix(path, stateDir+"/") {
		return false
	}
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}

// tellsNBD: exactly what the nbd mapper says, with its names in it.
func tellsNBD(_ string, arguments []string) bool {
	if len(arguments) == 2 && arguments[0] == "unmap" {
		return strings.HasPrefix(arguments[1], "/dev/nbd") && isNumber(arguments[1][len("/dev/nbd"):])
	}
	is := func(word string) func(string) bool { return func(s string) bool { return s == word } }
	shape := []func(string) bool{
		is("map"), is("--conf"), is(os.DevNull), is("--mon-host"), isMonitors, is("--id"), isName, is("--keyfile"), is(KeyPath),
		is("--rbd-cache"), is("false"), is("--client-mount-timeout"), isNumber, is("--try-netlink"),
		func(s string) bool { return s == "--read-only" || s == "--exclusive" }, isName,
	}
	if len(arguments) != len(shape) {
		return false
	}
	for i, fits := range shape {
		if !fits(arguments[i]) {
			return false
		}
	}
	return true
}

// nbdFiles: to map needs the key.
func nbdFiles(arguments []string) []uint32 {
	if arguments[0] == "unmap" {
		return nil
	}
	return []uint32{unix.S_IFREG}
}

// tellsCephFUSE: options as --name=value, in any order, among them the key's
// file, then how to mount, and the directory to mount on.
func tellsCephFUSE(stateDir string, arguments []string) bool {
	is := func(word string) func(string) bool { return func(s string) bool { return s == word } }
	may := map[string]func(string) bool{
		"conf": is(os.DevNull), "keyfile": is(KeyPath), "no-mon-config": isEmpty,
		"mon-host": isMonitors, "id": isName, "client_fs": isName, "client_mountpoint": isClean, "client_mount_timeout": isNumber,
		"client_die_on_failed_remount": is("false"), "client_die_on_failed_dentry_invalidate": is("false"),
		"log-file": isEmpty, "admin-socket": isEmpty, "run-dir": isEmpty, "daemonize": is("false"),
		"client_readahead_min": isNumber, "client_readahead_max_periods": isNumber, "client_oc_size": isNumber,
		"debug_client": is("0"), "debug_objectcacher": is("0"), "debug_objecter": is("0"), "debug_ms": is("0"),
	}
	options, how, ok := parted(arguments)
	if !ok || !isPlace(stateDir, how[2]) || how[0] != "-o" || !isMountOptions(how[1]) {
		return false
	}
	seen := map[string]bool{}
	for _, word := range options {
		name, value, _ := strings.Cut(strings.TrimPrefix(word, "--"), "=")
		fits, ok := may[name]
		if !ok || seen[name] || !strings.HasPrefix(word, "--") || !fits(value) {
			return false
		}
		seen[name] = true
	}
	return seen["conf"] && seen["keyfile"] && seen["log-file"] && seen["admin-socket"]
}

// parted is what comes before the last three words, and those.
func parted(arguments []string) (before []string, last [3]string, ok bool) {
	n := len(arguments) - len(last)
	if n < 0 {
		return nil, last, false
	}
	return arguments[:n], [3]string(arguments[n:]), true
}

// isMountOptions: the name that the mount table shows, and that nothing in it is
// a device or a program with other rights.
func isMountOptions(s string) bool {
	name, rest, _ := strings.Cut(s, ",")
	return strings.HasPrefix(name, "fsname=") && isName(name) && (rest == "nodev,nosuid" || rest == "nodev,nosuid,ro")
}

func isEmpty(s string) bool { return s == "" }

func isNumber(s string) bool { return s != "" && len(s) < 10 && strings.Trim(s, "0123456789") == "" }

// isMonitors: addresses as in [v2:192.0.2.1:3300],[v2:[2001:db8::1]:3300].
func isMonitors(s string) bool {
	return s != "" && len(s) <= maxWord && strings.Trim(s, "[]:.,v0123456789abcdefABCDEF") == ""
}

// isName says whether a word cannot be taken for an option, or for two words.
func isName(s string) bool {
	return s != "" && len(s) <= maxWord && s[0] != '-' && !strings.ContainsFunc(s, isNoGraphic) && !strings.ContainsAny(s, ", \t")
}

// isClean says whether a word is an absolute path without detours.
func isClean(s string) bool { return isName(s) && filepath.IsAbs(s) && filepath.Clean(s) == s }
