package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const usage = `registry fill ADDRESS DIR      a container registry that can be pushed to, its storage in DIR
registry images ADDRESS DIR    the same, read-only
registry files ADDRESS DIR     the files of DIR by HTTP
registry sizes DIR NAME TAG... what images in the storage DIR weigh, as JSON

Servers stay in the foreground, print the address they listen on (port 0 is any
free one) as their first line, and end with SIGTERM.`

// errUsage is returned when the arguments say nothing that can be done.
var errUsage = errors.New("no such command, or too few arguments")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "registry:", err)
		if errors.Is(err, errUsage) {
			fmt.Fprintln(os.Stderr, usage)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) < 3 {
		return errUsage
	}
	switch args[0] {
	case "fill":
		return serve(ctx, args[1], newImages(ctx, args[2], false))
	case "images":
		return serve(ctx, args[1], newImages(ctx, args[2], true))
	case "files":
		return serve(ctx, args[1], http.FileServer(http.Dir(args[2])))
	case "sizes":
		return printSizes(ctx, os.Stdout, args[1], args[2], args[3:])
	default:
		return fmt.Errorf("%.32q: %w", args[0], errUsage)
	}
}

// serve answers on an address until the context ends. Then whoever is being
// answered is cut off.
func serve(ctx context.Context, address string, handler http.Handler) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
