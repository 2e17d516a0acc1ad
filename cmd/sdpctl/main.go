package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run()) }

// run executes the command line. The first Ctrl-C cancels what runs, which
// then cleans up; the second ends the process at once.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	err := newRootCommand(a).ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sdpctl:", err)
	}
	return exitCode(err)
}
