package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// settings are what the command line says.
type settings struct {
	repo string // the checkout, where bin/ and hack/ are
	dir  string // everything the demo makes
	size int64  // bytes of the model
	keep bool
}

func main() {
	var s settings
	flag.StringVar(&s.repo, "repo", ".", "the checkout")
	flag.StringVar(&s.dir, "dir", "", "where to work: needs six times the model's size (default: a new directory in /var/tmp)")
	flag.Int64Var(&s.size, "size", 1_500_000_000, "bytes of the model")
	flag.BoolVar(&s.keep, "keep", false, "leave everything running at the end")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) (err error) {
	if s.repo, err = filepath.Abs(s.repo); err != nil {
		return err
	}
	if s.dir == "" {
		// Short, because unix sockets below it must stay under 108 bytes.
		if s.dir, err = os.MkdirTemp("/var/tmp", "sdp-demo-"); err != nil {
			return err
		}
	}
	if err := enoughSpace(s.dir, 6*s.size); err != nil {
		return err
	}
	d := &demo{settings: s}
	// An interrupted demo keeps nothing, whatever was asked for.
	defer func() {
		if err == nil && s.keep {
			d.explain()
			return
		}
		err = errors.Join(err, d.undo())
	}()
	return d.play(ctx)
}

// enoughSpace refuses to begin what the disk cannot hold.
func enoughSpace(dir string, need int64) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("look at the space of %s: %w", dir, err)
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < need {
		return fmt.Errorf("%s has %s free, the demo needs %s: choose another place with -dir (make demo DIR=…), or a smaller model with SIZE=", dir, bytes(free), bytes(need))
	}
	return nil
}
