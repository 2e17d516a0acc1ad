//go:build bench

package node

import (
	"os"
	"os/exec"
	"path/filepath"
)

// disk is a local ext4 file system with a copy of the model.
type disk struct {
	*machine
	dir, image string
}

func (m *machine) localCopy() *disk {
	m.t.Helper()
	d := &disk{machine: m, dir: filepath.Join(m.dir, "local"), image: filepath.Join(m.dir, "local.img")}
	m.must(os.Mkdir(d.dir, 0o755))
	for _, c := range [][]string{
		{"truncate", "-s", "2G", d.image}, {"mkfs.ext4", "-q", "-F", d.image}, {"mount", "-o", "loop", d.image, d.dir},
		{"cp", m.model(), d.dir + "/model.h5"}, {"sync", "-f", d.dir},
	} {
		m.run(c...)
	}
	return d
}

func (m *machine) run(c ...string) {
	m.t.Helper()
	if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
		m.t.Fatalf("%v: %v\n%s", c, err, out)
	}
}

func (d *disk) read() { d.readWhole(d.dir + "/model.h5") }

func (d *disk) close() {
	d.run("umount", d.dir)
	d.must(os.Remove(d.image))
}
