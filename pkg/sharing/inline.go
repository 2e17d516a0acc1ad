package sharing

import (
	"context"
	"fmt"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// HideInline takes the inline volume of a CO's handle away from target, with
// unpublish. The golden lingers as after a volume. Absent is success, and
// whatever else is at target stays.
func (n *Node[G]) HideInline(ctx context.Context, handle, target string, unpublish func(context.Context, string) error) error {
	shown, err := n.At(ctx, target)
	if err != nil || !isInline(shown, handle) {
		return err
	}
	if err := unpublish(ctx, target); err != nil {
		return err
	}
	return n.Leave(ctx, shown.Lower)
}

// InlineOf returns the handles of the inline volumes that pods of a tenant have
// on the node, as often as they are mounted.
func (n *Node[G]) InlineOf(ctx context.Context, tenant string) ([]string, error) {
	all, err := n.host.Overlays(ctx, n.dir)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, o := range all {
		if handle, ok := volume.InlineOf(tenant, o.Shows); ok {
			found = append(found, handle)
		}
	}
	return found, nil
}

// ShowsInline wraps volume.ErrNotFound unless target shows the inline volume of
// a CO's handle.
func (n *Node[G]) ShowsInline(ctx context.Context, handle, target string) error {
	shown, err := n.At(ctx, target)
	if err == nil && !isInline(shown, handle) {
		err = fmt.Errorf("inline volume %s is not at %s: %w", handle, target, volume.ErrNotFound)
	}
	return err
}

func isInline(o volume.Overlay, handle string) bool {
	return strings.HasPrefix(o.Shows, volume.InlineShown(handle))
}
