package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
)

func main() { os.Exit(run()) }

// run executes the command line. The first Ctrl-C cancels what runs, which
// then cleans up; the second ends the process at once.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	unwatch := context.AfterFunc(ctx, func() {
		stop()
		fmt.Fprintln(os.Stderr, "\nsdpctl: cleaning up; Ctrl-C again ends at once")
	})
	defer unwatch()
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, survey: surveyNode, functions: liveFunctions, abilities: nodeAbilities, installation: lookAtInstallation}
	a.connect = func() (cluster, fileSystem, error) {
		c := ceph.NewCluster(ceph.Options{})
		return c, ceph.NewFileSystem(c), nil
	}
	err := newRootCommand(a).ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sdpctl:", message(err))
	}
	return exitCode(err)
}

// message is what is said about an error.
func message(err error) string {
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	return err.Error()
}
