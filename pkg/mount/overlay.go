package mount

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

const overlay = "overlay"

// Overlay shows the directory lower at path, read-only, as a mount with a
// device number of its own. The data are lower's, and so is the page cache.
//
// A kubelet never unstages a volume whose staged mount has a device number
// that is mounted elsewhere too, so one golden cannot be bound into several
// staging paths: each gets an overlay instead.
//
// path is made, and must be empty: it is the second layer, which an overlay
// without a layer to write to needs. The overlay keeps lower's file system
// alive, also when lower itself is unmounted: see Overlaid.
func (h *Host) Overlay(ctx context.Context, lower, path string) error {
	if err := mustBeMounted(lower); err != nil {
		return err
	}
	return h.change(ctx, path, makeEntry, func(e entry) error {
		if err := e.mkdir(); err != nil {
			return err
		}
		_, r, found, err := e.isMounted()
		switch {
		case err != nil:
			return err
		case found && r.fsType == overlay && hasLower(r.options, lower):
			return nil
		case found:
			return conflict(path, r)
		}
		return attachOverlay(e, lower)
	})
}

func mustBeMounted(path string) error {
	_, err := lookMount(path)
	if errors.Is(err, volume.ErrNotFound) {
		return fmt.Errorf("overlay %s: nothing is mounted on it: %w", path, volume.ErrInUse)
	}
	return err
}

// attachOverlay uses mount(2): the mount API takes no value over 255 bytes.
func attachOverlay(e entry, lower string) error {
	target, err := e.hold()
	if err != nil {
		return err
	}
	defer target.Close()
	names, err := os.ReadDir(e.proc())
	if err != nil {
		return walkError("read", e.path, err)
	}
	if len(names) > 0 {
		return fmt.Errorf("%s has content of its own and cannot be a layer: %w", e.path, volume.ErrInUse)
	}
	const flags = unix.MS_RDONLY | unix.MS_NODEV | unix.MS_NOSUID
	options := lowerOption + escapeLayer(lower) + ":" + escapeLayer(e.path)
	if err := unix.Mount(overlay, procPath(target), overlay, flags, options); err != nil {
		return mountError("an overlay of "+lower, e.path, err)
	}
	return nil
}

const lowerOption = "lowerdir="

// escapeLayer protects what separates layers and options.
func escapeLayer(path string) string {
	return strings.NewReplacer(`\`, `\\`, ":", `\:`, ",", `\,`).Replace(path)
}

// Overlaid returns where overlays that Overlay made of lower are mounted or
// bound. lower itself need not be mounted any more; its device can be taken
// away when there are none.
func (h *Host) Overlaid(_ context.Context, lower string) ([]string, error) {
	rows, err := readTable()
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, r := range rows {
		if r.fsType == overlay && hasLower(r.options, lower) {
			paths = append(paths, r.path)
		}
	}
	return paths, nil
}

// hasLower says whether an overlay's options, as the mount table shows them,
// have lower for their first layer.
func hasLower(options, lower string) bool {
	first, _, _ := strings.Cut(lowerOf(options), "\x00")
	return first == lower
}

// lowerOf returns the layers, separated by NUL. The table has the option as it
// was given, in escapes of its own; an option ends at a comma that is not
// escaped, a layer at a colon that is not.
func lowerOf(options string) string {
	var out strings.Builder
	_, rest, found := strings.Cut(","+options, ","+lowerOption)
	if !found {
		return ""
	}
	rest = unescape(rest)
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '\\' && i+1 < len(rest):
			i++
			out.WriteByte(rest[i])
		case c == ',':
			return out.String()
		case c == ':':
			out.WriteByte(0)
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}
