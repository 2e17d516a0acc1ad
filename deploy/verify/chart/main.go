package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/sdp-csi/sdp-csi/deploy/verify/templates"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "chart: name the directory deploy/")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

func write(deploy string) error {
	files, err := templates.Make(os.DirFS(filepath.Join(deploy, "kubernetes")))
	if err != nil {
		return err
	}
	for name, text := range files {
		path := filepath.Join(deploy, "helm", "sdp-csi", "templates", name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil { //nolint:gosec // for everybody to read
			return err
		}
	}
	return nil
}
