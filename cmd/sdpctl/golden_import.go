package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/golden/image"
)

// importing are the flags of `golden import`.
type importing struct {
	where
	format   string
	preserve bool
	scratch  string
}

func newGoldenImportCommand(a *app) *cobra.Command {
	i := &importing{}
	cmd := &cobra.Command{
		Use:   "import NAME:VERSION PATH",
		Short: "Make a golden of a file, a directory or a tar",
		Long: "Makes a golden of a file, a directory or a tar (*.tar, *.tar.gz, *.tgz, or - for a tar from the standard\n" +
			"input). The file system image is made without a mount and without privilege, written to Ceph in parallel,\n" +
			"read back and compared, and sealed last: until then it cannot be used. Equal input gives an equal digest.\n" +
			"Importing the same content again is success; other content under a used name is refused.\n\n" +
			"EROFS needs scratch space only for a tar that is compressed or comes from the standard input: as much as\n" +
			"the files in it. ext4, which volumes can also be written in, needs the size of the files and about 100 MiB,\n" +
			"and once more their size where PATH lies on another file system than the scratch directory.",
		Example: `  sdpctl golden import --tenant acme resnet50:v1 ./model.h5
  sdpctl golden import --tenant acme llama:8b ./weights/ --format ext4
  zstd -dc set.tar.zst | sdpctl golden import --tenant acme set:2026-11 -`,
		Args: exactArgs(2, "the golden's NAME:VERSION and a PATH"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.importGolden(cmd, i, args[0], args[1]) },
	}
	i.flags(cmd)
	cmd.Flags().StringVar(&i.format, "format", image.EROFS, "erofs (read-only volumes) or ext4 (writable ones too)")
	cmd.Flags().BoolVar(&i.preserve, "preserve", false, "keep owners and permissions; otherwise all is root's and everybody may read it")
	cmd.Flags().StringVar(&i.scratch, "scratch", "", "directory for what cannot be streamed (default: the system's for temporary files)")
	return cmd
}

func (a *app) importGolden(cmd *cobra.Command, i *importing, name, path string) error {
	at, ref, err := a.golden(i.where, name)
	if err != nil {
		return err
	}
	l, err := a.library()
	if err != nil {
		return err
	}
	shown := newProgress(a.stderr, "import "+ref.String())
	g, err := l.Import(cmd.Context(), at, ref, golden.Import{
		Source: image.Source{Path: path, Input: a.stdin, Preserve: i.preserve},
		FsType: i.format, Scratch: i.scratch, Note: note(path), Progress: shown.report,
	})
	shown.end()
	if err != nil {
		return err
	}
	if err := a.grantGolden(cmd.Context(), at); err != nil {
		return err
	}
	answer := newGoldenAnswer(at, g)
	return a.print(answer, answer.details())
}

// note says what was imported, without the importing machine's directories.
func note(path string) string {
	if path == image.Stdin {
		return "a tar from the standard input"
	}
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	return filepath.Base(path)
}
