package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
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
		fmt.Fprintln(cmd.ErrOrStderr(), "sdp-csi:", oneLine(err))
		return exitCode(err)
	}
	return 0
}

// oneLine is an error's message without line ends: joined errors and what
// programs print have them.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' }), "; ")
}
