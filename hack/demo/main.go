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
	// backend is where the golden and the volumes are: rbd or cephfs.
	backend string
	keep    bool
	end     bool // take down what -keep left
}

// The backends.
const (
	rbd    = "rbd"
	cephfs = "cephfs"
)

const (
	smallest = 10_000_000 // bytes of a model that has all its layers
	longest  = 80         // bytes of -dir; a socket's path may have 107
)

func main() {
	var s settings
	flag.StringVar(&s.repo, "repo", ".", "the checkout")
	flag.StringVar(&s.dir, "dir", "", "where to work: a new or an empty directory, with six times the model's size free (default: one in /var/tmp)")
	flag.Int64Var(&s.size, "size", 1_500_000_000, "bytes of the model")
	flag.StringVar(&s.backend, "backend", rbd, "where the golden and the volumes are: rbd, or cephfs")
	flag.BoolVar(&s.keep, "keep", false, "leave everything running at the end")
	flag.BoolVar(&s.end, "end", false, "take down what -keep left in -dir")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("interrupted: %w", err)
		}
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) (err error) {
	if flag.NArg() > 0 {
		return fmt.Errorf("it takes flags only, got %.32q", flag.Arg(0))
	}
	if s.repo, err = filepath.Abs(s.repo); err != nil {
		return err
	}
	if s.end {
		return endKept(s)
	}
	if s.size < smallest {
		return fmt.Errorf("a model of %d bytes is none: choose a SIZE of at least %d", s.size, smallest)
	}
	if s.backend != rbd && s.backend != cephfs {
		return fmt.Errorf("there is no backend %.32q: choose BACKEND=%s or BACKEND=%s", s.backend, rbd, cephfs)
	}
	if err := s.makeDir(); err != nil {
		return err
	}
	d := &demo{settings: s}
	// An interrupted demo keeps nothing, whatever was asked for.
	defer func() {
		if err == nil && s.keep {
			err = d.explain()
			return
		}
		err = errors.Join(err, d.undo())
	}()
	return d.play(ctx)
}

// makeDir makes the directory of the demo. It is removed at the end, so one
// with something in it is refused.
func (s *settings) makeDir() (err error) {
	if s.dir == "" {
		// Short, because unix sockets below it must stay under 108 bytes.
		s.dir, err = os.MkdirTemp("/var/tmp", "sdp-demo-")
	} else if s.dir, err = filepath.Abs(s.dir); err == nil {
		err = os.MkdirAll(s.dir, 0o755)
	}
	if err != nil {
		return err
	}
	there, err := os.ReadDir(s.dir)
	switch {
	case err != nil:
		return err
	case len(there) > 0:
		return fmt.Errorf("%s is not empty, and the demo removes its directory at the end: choose a new one with DIR=", s.dir)
	case len(s.dir) > longest:
		err = fmt.Errorf("the path %s is too long for sockets: choose one of at most %d bytes with DIR=", s.dir, longest)
	default:
		err = enoughSpace(s.dir, 6*s.size)
	}
	if err != nil {
		_ = os.Remove(s.dir)
	}
	return err
}

// enoughSpace refuses to begin what the disk cannot hold.
func enoughSpace(dir string, need int64) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("look at the space of %s: %w", dir, err)
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < need {
		return fmt.Errorf("%s has %s free, the demo needs %s: choose another place with DIR=, or a smaller model with SIZE=", dir, bytes(free), bytes(need))
	}
	return nil
}
