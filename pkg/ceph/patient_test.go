package ceph

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// A manager that hangs keeps so many commands and no more; the others say so,
// each when its caller's time is over, and all goes on when it answers. The
// manager of another cluster is asked all the time.
func TestManagerHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newPatient(Options{}, "the manager")
		m.connections.dial = func(login) (*connection, error) { return &connection{}, nil }
		m.connections.shut = func(*connection) {}
		hang, begun := make(chan struct{}), make(chan struct{}, 2*maxCalls)
		ask := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			return m.ask(ctx, login{}, func(*connection) error {
				begun <- struct{}{}
				<-hang
				return nil
			})
		}
		answers := make(chan error, maxCalls+8)
		for range cap(answers) {
			go func() { answers <- ask() }()
		}
		for range cap(answers) {
			if err := <-answers; !errors.Is(err, volume.ErrUnavailable) {
				t.Errorf("while it hangs: %v", err)
			}
		}
		if len(begun) != maxCalls {
			t.Errorf("%d commands are under way, want %d", len(begun), maxCalls)
		}
		other := login{id: loginID{monitors: "elsewhere"}}
		if err := m.ask(t.Context(), other, func(*connection) error { return nil }); err != nil {
			t.Errorf("another cluster's manager, meanwhile: %v", err)
		}
		close(hang)
		synctest.Wait()
		if err := ask(); err != nil {
			t.Errorf("when it answers again: %v", err)
		}
	})
}

// librados must not end a command to the manager: its answer would be written
// to memory that is another's by then.
func TestManagerHasNoTimeout(t *testing.T) {
	for name, tc := range map[string]struct {
		o    Options
		want string
	}{
		"a manager's": {Options{patient: true}.withDefaults(), "0"}, "others": {Options{}.withDefaults(), "15"},
	} {
		for _, s := range tc.o.settings() {
			if s[0] == "rados_mon_op_timeout" && s[1] != tc.want {
				t.Errorf("%s: %s seconds, want %s", name, s[1], tc.want)
			}
		}
	}
}
