package ceph

import (
	"context"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
)

// Versions tells which versions of Ceph's programs run, by their kind: mon,
// mgr, osd, mds. A kind that does not run is not in it.
func (c *Cluster) Versions(ctx context.Context, at tenant.Place) (map[string][]string, error) {
	var answer map[string]map[string]int
	if err := c.ask(ctx, at, &answer, map[string]any{"prefix": "versions"}); err != nil {
		return nil, err
	}
	found := map[string][]string{}
	for kind, versions := range answer {
		for text := range versions {
			// ceph version 16.2.15 (<commit>) pacific (stable)
			if words := strings.Fields(text); kind != "overall" && len(words) > 2 {
				found[kind] = append(found[kind], words[2])
			}
		}
	}
	return found, nil
}

// UserCaps returns the capabilities of any user by whom they are told to (mon,
// osd, mgr, mds), to look whether they are what they should be. It wraps
// volume.ErrNotFound without the user.
func (c *Cluster) UserCaps(ctx context.Context, at tenant.Place, user string) (map[string]string, error) {
	var answer []struct{ Caps map[string]string }
	if err := c.ask(ctx, at, &answer, map[string]any{"prefix": "auth get", "entity": entityPrefix + user}); err != nil {
		return nil, err
	}
	for _, a := range answer {
		return a.Caps, nil
	}
	return nil, nil
}
