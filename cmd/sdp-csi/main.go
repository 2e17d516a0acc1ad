package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/klog/v2"
)

func main() { os.Exit(run()) }

// The exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

// run executes the command line. A first SIGTERM or Ctrl-C lets running calls
// end; a second one ends the process at once.
func run() int {
	defer klog.Flush()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	cmd := newCommand()
	if err := cmd.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "sdp-csi:", err)
		return exitCode(err)
	}
	return 0
}
