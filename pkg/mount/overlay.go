package mount

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

const overlay = volume.OverlayType

// Overlay shows the directory o.Inside of the mount o.Lower at o.Path, read-only, as a mount with a
// device number of its own. The data are the lower's, and so is the page
// cache.
//
// A kubelet never unstages a volume whose staged mount has a device number
// that is mounted elsewhere too, so one golden cannot be bound into several
// staging paths: each gets an overlay instead.
//
// The path is made, and must be empty: it is the second layer, which an
// overlay without a layer to write to needs. The overlay keeps the lower's
// file system alive, also when the lower itself is unmounted: see Overlays.
// options are the class's mount options, as for Mount.
func (h *Host) Overlay(ctx context.Context, o volume.Overlay, options []string) error {
	s, err := parseSettings(overlay, true, options)
	if err != nil {
		return err
	}
	if err := mustBeMounted(o.Lower); err != nil {
		return err
	}
	return h.change(ctx, o.Path, makeEntry, func(e entry) error {
		if err := e.mkdir(); err != nil {
			return err
		}
		_, r, found, err := e.isMounted()
		switch {
		case err != nil:
			return err
		case found && r.fsType == overlay && r.source == o.Shows && lowerOf(r.options) == shownBy(o):
			return nil
		case found:
			return conflict(o.Path, r)
		}
		return attachOverlay(e, o, s)
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
func attachOverlay(e entry, o volume.Overlay, s settings) error {
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
	options := lowerOption + escapeLayer(shownBy(o)) + ":" + escapeLayer(e.path)
	if err := unix.Mount(o.Shows, procPath(target), overlay, legacyFlags(s.attrs), options); err != nil {
		return mountError("an overlay of "+shownBy(o), e.path, err)
	}
	return nil
}

// shownBy is the first layer of an overlay.
func shownBy(o volume.Overlay) string { return filepath.Join(o.Lower, o.Inside) }

const lowerOption = "lowerdir="

// escapeLayer protects what separates layers and options.
func escapeLayer(path string) string {
	return strings.NewReplacer(`\`, `\\`, ":", `\:`, ",", `\,`).Replace(path)
}

// Overlays returns the overlays of what is mounted on directories in dir, where
// they are mounted and where they are bound. Such a directory itself need not be
// mounted any more; its device can be taken away when it has none.
func (h *Host) Overlays(_ context.Context, dir string) ([]volume.Overlay, error) {
	rows, err := readTable()
	if err != nil {
		return nil, err
	}
	var all []volume.Overlay
	for _, r := range rows {
		if r.fsType != overlay {
			continue
		}
		if name, inside, below := splitBelow(dir, lowerOf(r.options)); below {
			all = append(all, volume.Overlay{Path: r.path, Lower: filepath.Join(dir, name), Inside: inside, Shows: r.source})
		}
	}
	return all, nil
}

// splitBelow parts a path below dir into the name in dir and what is inside it.
func splitBelow(dir, path string) (name, inside string, below bool) {
	rest, below := strings.CutPrefix(path, dir+"/")
	name, inside, _ = strings.Cut(rest, "/")
	return name, inside, below && name != ""
}

// lowerOf returns an overlay's first layer. The table has the option as it was
// given, in escapes of its own; an option ends at a comma that is not escaped,
// a layer at a colon that is not.
func lowerOf(options string) string {
	var out strings.Builder
	_, rest, found := strings.Cut(","+options, ","+lowerOption)
	if !found {
		return ""
	}
	rest = unescape(rest)
	for i := 0; i < len(rest) && rest[i] != ',' && rest[i] != ':'; i++ {
		if rest[i] == '\\' && i+1 < len(rest) {
			i++
		}
		out.WriteByte(rest[i])
	}
	return out.String()
}
