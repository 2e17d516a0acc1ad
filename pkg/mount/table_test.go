package mount

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseTable(t *testing.T) {
	for name, c := range map[string]struct {
		line string
		want row
	}{
		"device": {
			"36 35 254:1 / /mnt rw,noatime master:1 - ext4 /dev/vda1 rw,errors=continue",
			row{id: 36, dev: unix.Mkdev(254, 1), root: "/", path: "/mnt", flags: "rw,noatime", fsType: "ext4", source: "/dev/vda1", options: "rw,errors=continue"},
		},
		"no tags, escapes": {
			`7 1 0:6 /a\040b /x\011y\012z\134\043 ro - devtmpfs dev\040tmpfs rw`,
			row{id: 7, dev: 6, root: "/a b", path: "/x\ty\nz\\#", flags: "ro", fsType: "devtmpfs", source: "dev tmpfs", options: "rw"},
		},
		"empty source": {
			"7 1 0:6 / /x rw shared:1 master:2 propagate_from:3 - tmpfs  rw",
			row{id: 7, dev: 6, root: "/", path: "/x", flags: "rw", fsType: "tmpfs", options: "rw"},
		},
		"hyphens": {
			"7 1 0:6 - - - - - - - -",
			row{id: 7, dev: 6, root: "-", path: "-", flags: "-", fsType: "-", source: "-", options: "-"},
		},
		"a minor beyond 255": {
			"7 1 7:70000 / /x ro - erofs /dev/loop70000 ro",
			row{id: 7, dev: unix.Mkdev(7, 70000), root: "/", path: "/x", flags: "ro", fsType: "erofs", source: "/dev/loop70000", options: "ro"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			rows, err := parseTable([]byte(c.line + "\n"))
			must(t, err)
			if len(rows) != 1 || rows[0] != c.want {
				t.Fatalf("got %+v, want %+v", rows, c.want)
			}
		})
	}
}

func TestParseTableRefusesWhatItCannotRead(t *testing.T) {
	for name, line := range map[string]string{
		"empty line":   "\n",
		"short":        "1 2 0:1 / /x - tmpfs t rw\n",
		"no separator": "1 2 0:1 / /x rw tmpfs t rw\n",
		"no number":    "x 2 0:1 / /x rw - tmpfs t rw\n",
		"no device":    "1 2 01 / /x rw - tmpfs t rw\n",
	} {
		t.Run(name, func(t *testing.T) {
			if rows, err := parseTable([]byte(line)); err == nil {
				t.Fatalf("got %+v", rows)
			}
		})
	}
}

func TestReadTable(t *testing.T) {
	rows, err := readTable()
	must(t, err)
	if len(rows) == 0 || rows[0].path == "" {
		t.Fatalf("got %+v", rows)
	}
}

// escape is what the kernel does with a path (fs/proc_namespace.c).
func escape(s string) string {
	return strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`, "#", `\043`).Replace(s)
}

func FuzzParseTable(f *testing.F) {
	f.Add("/mnt", "36 35 254:1 / /mnt rw - ext4 /dev/vda1 rw")
	f.Add("-", "")
	f.Add("/a b\\\n#\xff", `1 2 0:1 \ \0 rw - - - - -`)
	f.Fuzz(func(t *testing.T, path, text string) {
		_, _ = parseTable([]byte(text))
		if strings.ContainsRune(path, 0) || path == "" {
			return
		}
		rows, err := parseTable([]byte("1 2 0:3 " + escape(path) + " " + escape(path) + " rw - tmpfs t rw\n"))
		must(t, err)
		if len(rows) != 1 || rows[0].path != path || rows[0].root != path {
			t.Fatalf("%q became %+v", path, rows)
		}
	})
}
