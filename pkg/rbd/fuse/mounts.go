package fuse

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/fuse/wire"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// mountTable is proc(5)'s table of this mount namespace.
const mountTable = "/proc/self/mountinfo"

// mounts returns what the exporters' mounts show, by mount point.
func mounts() (map[string]rbd.Mapping, error) {
	table, err := os.Open(mountTable)
	if err != nil {
		return nil, fmt.Errorf("read the mount table: %w: %w", err, volume.ErrUnavailable)
	}
	defer table.Close()
	found := map[string]rbd.Mapping{}
	lines := bufio.NewScanner(table)
	lines.Buffer(nil, 64<<10) // two paths and a source, each of a page at most, escaped
	for lines.Scan() {
		if point, m, ours := parseMount(lines.Text()); ours {
			found[point] = m
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the mount table: %w: %w", err, volume.ErrUnavailable)
	}
	return found, nil
}

// parseMount reads a line: the fifth field is the mount point, and after a
// lone dash come the type and the source.
func parseMount(line string) (point string, m rbd.Mapping, ours bool) {
	before, after, found := strings.Cut(line, " - ")
	fields, rest := strings.Fields(before), strings.Fields(after)
	if !found || len(fields) < 5 || len(rest) < 2 || !strings.HasPrefix(rest[0], "fuse.") {
		return "", m, false
	}
	m, ours = wire.ParseSource(rest[1])
	return unescape(fields[4]), m, ours
}

// unescape undoes what the kernel does to blanks in a path.
func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}
