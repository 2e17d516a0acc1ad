package mount

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// tableFile is the mount table of this process's mount namespace, which all
// its threads share.
const tableFile = "/proc/self/mountinfo"

// row is one mount (proc_pid_mountinfo(5)).
type row struct {
	id      int
	dev     uint64 // of the file system, as stat shows it
	root    string // what of the file system is shown
	path    string // where
	flags   string // of the mount
	fsType  string
	source  string
	options string // of the file system, still escaped
}

// readOnly says that nothing can be written through this mount.
func (r row) readOnly() bool { return hasOption(r.flags, "ro") || hasOption(r.options, "ro") }

func hasOption(list, option string) bool {
	for o := range strings.SplitSeq(list, ",") {
		if o == option {
			return true
		}
	}
	return false
}

// readTable returns all mounts, a mount before those that cover it.
func readTable() ([]row, error) {
	data, err := os.ReadFile(tableFile)
	if err != nil {
		return nil, fmt.Errorf("read the mount table: %w: %w", err, volume.ErrUnavailable)
	}
	return parseTable(data)
}

func parseTable(data []byte) ([]row, error) {
	rows := make([]row, 0, bytes.Count(data, []byte("\n")))
	for line := range strings.Lines(string(data)) {
		r, ok := parseRow(strings.TrimSuffix(line, "\n"))
		if !ok {
			// A mount that is overlooked would be mounted over, or its device
			// taken away.
			return nil, fmt.Errorf("the mount table has a row %.256q that cannot be read: %w", line, volume.ErrUnavailable)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// parseRow reads «ID parent major:minor root path flags [tag…] - type source
// options». An empty source leaves two spaces.
func parseRow(line string) (r row, ok bool) {
	const fixed = 6 // words before the tags
	mine := strings.Split(line, " ")
	if len(mine) < fixed {
		return row{}, false
	}
	end := slices.Index(mine[fixed:], "-") + fixed
	theirs := mine[end+1:]
	if end < fixed || len(theirs) < 3 {
		return row{}, false
	}
	id, err := strconv.Atoi(mine[0])
	if err != nil {
		return row{}, false
	}
	dev, ok := parseDev(mine[2])
	return row{
		id: id, dev: dev, root: unescape(mine[3]), path: unescape(mine[4]), flags: mine[5],
		fsType: unescape(theirs[0]), source: unescape(theirs[1]), options: theirs[2],
	}, ok
}

func parseDev(s string) (uint64, bool) {
	left, right, ok := strings.Cut(s, ":")
	if !ok {
		return 0, false
	}
	major, err1 := strconv.ParseUint(left, 10, 32)
	minor, err2 := strconv.ParseUint(right, 10, 32)
	return unix.Mkdev(uint32(major), uint32(minor)), err1 == nil && err2 == nil
}

// unescape undoes the kernel's \ooo for space, tab, newline, backslash, hash.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		c, n := s[0], 1
		if c == '\\' && len(s) >= 4 {
			if v, err := strconv.ParseUint(s[1:4], 8, 8); err == nil {
				c, n = byte(v), 4
			}
		}
		b.WriteByte(c)
		s = s[n:]
	}
	return b.String()
}
