package image

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// writeScript writes debugfs' commands for the whole tree.
func (f *filling) writeScript(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return local("create the script for debugfs", err)
	}
	buffered := bufio.NewWriter(file)
	fmt.Fprintln(buffered, `rmdir "./lost+found"`)
	err = f.directory(buffered, f.tree.root)
	if err == nil {
		attributes(buffered, ".", f.tree.root)
		err = local("write the script for debugfs", buffered.Flush())
	}
	if closed := file.Close(); err == nil {
		err = local("write the script for debugfs", closed)
	}
	return err
}

// directory writes the commands for what is in a directory, which is the
// current one.
func (f *filling) directory(w io.Writer, n *node) error {
	for _, e := range n.entries {
		name, err := quote(e.name)
		if err != nil {
			return err
		}
		// A name alone could be read as an inode's number, «<12>».
		path := `"./` + name[1:]
		switch e.node.kind {
		case file:
			fmt.Fprintf(w, "write %s %s\n", f.files[e.node], name)
		case symlink:
			err = symlinkCommand(w, name, e.node.target)
		case directory:
			fmt.Fprintf(w, "mkdir %s\ncd %s\n", path, path)
			err = f.directory(w, e.node)
			fmt.Fprintln(w, "cd ..")
		}
		if err != nil {
			return err
		}
		attributes(w, path, e.node)
	}
	return nil
}

func symlinkCommand(w io.Writer, name, target string) error {
	text, err := quote(target)
	fmt.Fprintf(w, "symlink %s %s\n", name, text)
	return err
}

// attributes sets the mode and the owner of what path names. Those of a
// symbolic link mean nothing, and debugfs would follow it.
func attributes(w io.Writer, path string, n *node) {
	if n.kind == symlink {
		return
	}
	fmt.Fprintf(w, "sif %s mode 0%o\n", path, unixMode(n))
	if n.uid != 0 || n.gid != 0 {
		fmt.Fprintf(w, "sif %s uid %d\nsif %s gid %d\n", path, n.uid, path, n.gid)
	}
}

// quote writes a name as one word of debugfs' language, which has no way to
// write a control character.
func quote(s string) (string, error) {
	for _, c := range []byte(s) {
		if c < ' ' || c == 0x7f {
			return "", fmt.Errorf("%.256q has a control character, which --format ext4 cannot keep: use EROFS: %w", s, volume.ErrInvalid)
		}
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`, nil
}
