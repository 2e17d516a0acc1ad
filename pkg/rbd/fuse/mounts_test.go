package fuse

import "testing"

func TestParseMount(t *testing.T) {
	const source = "sdp:f1/5/rbd/acme/golden.m.v1/10cc/sealed/4/ro"
	for name, c := range map[string]struct {
		line, point string
		ours        bool
	}{
		"ours":           {`42 27 0:39 / /run/sdp-csi/a.b rw,nosuid,relatime - fuse.sdp ` + source + ` rw,user_id=0`, "/run/sdp-csi/a.b", true},
		"optional parts": {`42 27 0:39 / /run/a rw shared:7 master:1 - fuse.sdp ` + source + ` rw`, "/run/a", true},
		"odd path":       {`42 27 0:39 / /run/a\040b\134c rw - fuse.sdp ` + source + ` rw`, `/run/a b\c`, true},
		"other source":   {`42 27 0:39 / /run/a rw - fuse.sdp other rw`, "/run/a", false},
		"other type":     {`42 27 0:39 / /run/a rw - tmpfs ` + source + ` rw`, "", false},
		"cut off":        {`42 27 0:39 / /run/a rw - fuse.sdp`, "", false},
		"empty":          {``, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			point, m, ours := parseMount(c.line)
			if point != c.point || ours != c.ours {
				t.Fatalf("%q %t", point, ours)
			}
			if ours && (m.Image != "golden.m.v1" || m.SnapshotID != 4 || !m.ReadOnly) {
				t.Fatalf("%+v", m)
			}
		})
	}
}
