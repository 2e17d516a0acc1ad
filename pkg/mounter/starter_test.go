package mounter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Both starters hold the port's contract.

func TestStartGivesWhatTheOrderHas(t *testing.T) {
	b := newBench(t)
	b.serve()
	t.Setenv("SDP_TEST_SECRET", "leaks")
	for name, s := range b.starters() {
		t.Run(name, func(t *testing.T) {
			o, out := b.order()
			o.Label = "sdp:a label/of/it"
			p := b.started(s, o)
			b.eventually("the program's word", func() bool { return strings.Contains(said(out), "ready") })
			environment, descriptors := b.shows(p.ID())
			// A shell that becomes another program adds its own.
			environment = slices.DeleteFunc(environment, func(s string) bool { return s == "PWD=/" })
			slices.Sort(environment)
			if want := []string{"PATH=" + os.Getenv("PATH"), Variable + "=" + o.Label}; !slices.Equal(environment, want) {
				t.Errorf("environment %q, want %q", environment, want)
			}
			sockets := 0
			for _, what := range descriptors {
				if strings.HasPrefix(what, "socket:") {
					sockets++
				}
			}
			if saidOf(out, "told") != b.place || !strings.HasPrefix(descriptors["3"], "socket:") || sockets != 1 {
				t.Errorf("told %q, with %v", said(out), descriptors)
			}
			if session, err := unix.Getsid(p.ID()); err != nil || session != p.ID() {
				t.Errorf("session %d of process %d, %v", session, p.ID(), err)
			}
		})
	}
}

func TestWaitTellsHowItEnded(t *testing.T) {
	b := newBench(t)
	b.serve()
	for name, s := range b.starters() {
		for code, want := range map[string]error{"0": nil, "7": volume.ErrUnavailable} {
			t.Run(name+", "+code, func(t *testing.T) {
				b.does("ends", code)
				o, _ := b.order()
				err := b.ends(b.started(s, o))
				if !errors.Is(err, want) || want != nil && !strings.Contains(err.Error(), "exit status 7") {
					t.Errorf("ended with %v", err)
				}
			})
		}
	}
}

func TestWaitEndsBeforeTheProgram(t *testing.T) {
	b := newBench(t)
	b.serve()
	for name, s := range b.starters() {
		t.Run(name, func(t *testing.T) {
			o, _ := b.order()
			p := b.started(s, o)
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := p.Wait(ctx); !errors.Is(err, volume.ErrUnavailable) || !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			if !lives(p.ID()) {
				t.Fatal("the program has gone")
			}
			if err := p.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := b.ends(p); !errors.Is(err, volume.ErrUnavailable) || !strings.Contains(err.Error(), "killed") {
				t.Fatal(err)
			}
		})
	}
}

func TestKillEndsTheSession(t *testing.T) {
	b := newBench(t)
	b.serve()
	b.does("forks", "")
	for name, s := range b.starters() {
		t.Run(name, func(t *testing.T) {
			o, out := b.order()
			p := b.started(s, o)
			b.eventually("the program's child", func() bool { return saidOf(out, "child") != "" })
			child, err := strconv.Atoi(saidOf(out, "child"))
			b.must(err)
			b.must(p.Kill())
			b.eventually("the end of both", func() bool { return !lives(p.ID()) && !lives(child) })
			b.must(p.Kill()) // nothing is left to kill
		})
	}
}

// What is closed goes on.
func TestCloseLetsGo(t *testing.T) {
	b := newBench(t)
	server := b.serve()
	for name, s := range b.starters() {
		t.Run(name, func(t *testing.T) {
			o, out := b.order()
			p, err := s.Start(t.Context(), o)
			b.must(err)
			p.Close()
			b.eventually("the program's word", func() bool { return strings.Contains(said(out), "ready") })
			if !lives(p.ID()) {
				t.Fatal("it has ended")
			}
			b.must(unix.Kill(p.ID(), unix.SIGKILL))
			b.eventually("the end", func() bool { return !lives(p.ID()) })
		})
	}
	b.eventually("the server to reap", func() bool { return server.Running() == 0 })
}

func TestStartRefuses(t *testing.T) {
	b := newBench(t)
	b.serve()
	o, _ := b.order()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, s := range b.starters() {
		if _, err := s.Start(ended, o); !errors.Is(err, volume.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("%s, too late: %v", name, err)
		}
	}
	b.must(os.Remove(b.script))
	for name, s := range b.starters() {
		if _, err := s.Start(t.Context(), o); !errors.Is(err, volume.ErrUnavailable) {
			t.Errorf("%s, without the program: %v", name, err)
		}
	}
	if err := exports(b.script).Has(Export); !errors.Is(err, volume.ErrUnsupported) {
		t.Errorf("has %v", err)
	}
	o.Arguments = []string{"/"}
	if _, err := NewClient(b.socket).Start(t.Context(), o); !errors.Is(err, volume.ErrInvalid) || !strings.Contains(err.Error(), "sdp-export must not") {
		t.Errorf("told another place: %v", err)
	}
}

func TestManyAtOnce(t *testing.T) {
	b := newBench(t)
	server := b.serve()
	const many = 16
	ids := make(chan int, many)
	for range many {
		go func() {
			o, _ := b.order()
			p, err := NewClient(b.socket).Start(t.Context(), o)
			if err != nil {
				t.Error(err)
				ids <- 0
				return
			}
			ids <- p.ID()
			p.Close()
		}()
	}
	var all []int
	for range many {
		all = append(all, <-ids)
	}
	slices.Sort(all)
	if len(slices.Compact(slices.Clone(all))) != many || server.Running() != many {
		t.Errorf("processes %v, %d run", all, server.Running())
	}
	for _, pid := range all {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	b.eventually("the ends", func() bool { return server.Running() == 0 })
}

// A key is in the memory of who needs it.
func TestKeyIsNowhere(t *testing.T) {
	b := newBench(t)
	b.does("reads", "")
	key, err := InMemory("key", "c2VjcmV0Cg==")
	b.must(err)
	defer key.Close()
	o, out := b.order()
	o.Files = []*os.File{key}
	p := b.started(exports(b.script), o)
	b.eventually("the key", func() bool { return saidOf(out, "key") == "c2VjcmV0Cg==" })
	for _, file := range []string{"cmdline", "environ"} {
		text, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(p.ID()), file))
		b.must(err)
		if strings.Contains(string(text), "c2V") {
			t.Errorf("%s has the key", file)
		}
	}
}
