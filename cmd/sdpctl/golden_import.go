package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// importing are the flags of `golden import`.
type importing struct {
	where
	backend  string
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
			"With --backend cephfs the files themselves are copied to CephFS, in parallel; the digest is over their paths, kinds,\n" +
			"owners, permissions, sizes and contents.\n\n" +
			"EROFS and CephFS need scratch space only for a tar that is compressed or comes from the standard input: as much\n" +
			"as the files in it. ext4, which volumes can also be written in, needs the size of the files and about 100 MiB,\n" +
			"and once more their size where PATH lies on another file system than the scratch directory.",
		Example: `  sdpctl golden import --tenant acme resnet50:v1 ./model.h5
  sdpctl golden import --tenant acme llama:8b ./weights/ --format ext4
  sdpctl golden import --tenant acme corpus:2026-11 ./corpus/ --backend cephfs
  zstd -dc set.tar.zst | sdpctl golden import --tenant acme set:2026-11 -`,
		Args: exactArgs(2, "the golden's NAME:VERSION and a PATH"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.importGolden(cmd, i, args[0], args[1]) },
	}
	i.flags(cmd)
	cmd.Flags().StringVar(&i.backend, "backend", string(volume.RBD), "rbd (an image) or cephfs (files, in the file system of the policy)")
	cmd.Flags().StringVar(&i.format, "format", image.EROFS, "of an image: erofs (read-only volumes) or ext4 (writable ones too)")
	cmd.Flags().BoolVar(&i.preserve, "preserve", false, "keep owners and permissions; otherwise all is root's and everybody may read it")
	cmd.Flags().StringVar(&i.scratch, "scratch", "", "directory for what cannot be streamed (default: the system's for temporary files)")
	return cmd
}

func (a *app) importGolden(cmd *cobra.Command, i *importing, name, path string) error {
	at, ref, err := a.golden(i.where, name)
	if err != nil {
		return err
	}
	if err := i.check(at, cmd.Flags().Changed("format")); err != nil {
		return err
	}
	all, err := a.libraries()
	if err != nil {
		return err
	}
	shown := newProgress(a.stderr, "import "+ref.String())
	in := golden.Import{
		Source:  image.Source{Path: path, Input: a.stdin, Preserve: i.preserve},
		Scratch: i.scratch, Note: note(path), Progress: shown.report,
	}
	var g volume.Golden
	if volume.Backend(i.backend) == volume.CephFS {
		g, err = all[volume.CephFS].ImportFiles(cmd.Context(), a.files, at, ref, in)
	} else {
		in.FsType = i.format
		g, err = all[volume.RBD].Import(cmd.Context(), at, ref, in)
	}
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

// check refuses flags that do not go together, or with the policy.
func (i *importing) check(at tenant.Place, format bool) error {
	switch b := volume.Backend(i.backend); {
	case b != volume.RBD && b != volume.CephFS:
		return fmt.Errorf("--backend cannot be %.32q: use rbd or cephfs: %w", i.backend, volume.ErrInvalid)
	case b == volume.CephFS && format:
		return fmt.Errorf("--format is for images: backend cephfs keeps files, leave it out: %w", volume.ErrInvalid)
	case b == volume.CephFS && at.Cluster().FileSystem == "":
		return fmt.Errorf("cluster %s has no file system in the policy file: write «fileSystem: NAME» in its row: %w", at.Cluster().ID, volume.ErrInvalid)
	}
	return nil
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
