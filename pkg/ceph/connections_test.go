package ceph

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// dialer makes connections to nowhere and counts them.
type dialer struct {
	dialled, shut chan string
	err           error
	takes         time.Duration
}

func newDialer() *dialer {
	return &dialer{dialled: make(chan string, 100), shut: make(chan string, 100)}
}

func (d *dialer) connections(idle time.Duration, limit int) *connections {
	return &connections{
		dial: func(l login) (*connection, error) {
			time.Sleep(d.takes)
			d.dialled <- l.id.user
			return &connection{fsid: l.id.user}, d.err
		},
		shut:  func(c *connection) { d.shut <- c.fsid },
		slots: map[loginID]*slot{}, idle: idle, limit: limit,
	}
}

func as(user string) login { return login{id: loginID{user: user}} }

func nothing(*connection) error { return nil }

// expect checks how many connections were made and closed until now.
func (d *dialer) expect(t *testing.T, dialled, shut int) {
	t.Helper()
	synctest.Wait()
	if len(d.dialled) != dialled || len(d.shut) != shut {
		t.Fatalf("%d connections made and %d closed, want %d and %d", len(d.dialled), len(d.shut), dialled, shut)
	}
}

func TestConnectionsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDialer()
		d.takes = time.Second
		cs := d.connections(0, 0)
		for range 20 {
			go func() {
				if err := cs.use(t.Context(), as("a"), nothing); err != nil {
					t.Error(err)
				}
			}()
		}
		time.Sleep(time.Minute)
		d.expect(t, 1, 0)
		if err := cs.use(t.Context(), as("b"), nothing); err != nil {
			t.Fatal(err)
		}
		d.expect(t, 2, 0)
		cs.close()
		d.expect(t, 2, 2)
		if err := cs.use(t.Context(), as("a"), nothing); !errors.Is(err, volume.ErrUnavailable) {
			t.Errorf("use after close: %v", err)
		}
	})
}

func TestBrokenConnectionIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDialer()
		cs := d.connections(0, 0)
		blocklisted := classify(coded(-int(syscall.ESHUTDOWN)))
		err := cs.use(t.Context(), as("a"), func(*connection) error {
			// Another user of the same connection keeps it open.
			err := cs.use(t.Context(), as("a"), func(*connection) error { return blocklisted })
			if !errors.Is(err, volume.ErrUnavailable) {
				t.Error(err)
			}
			d.expect(t, 1, 0)
			if err := cs.use(t.Context(), as("a"), nothing); err != nil {
				t.Error(err)
			}
			d.expect(t, 2, 0)
			return blocklisted
		})
		if !errors.Is(err, volume.ErrUnavailable) {
			t.Error(err)
		}
		d.expect(t, 2, 1)
		if err := cs.use(t.Context(), as("a"), nothing); err != nil {
			t.Fatal(err)
		}
		d.expect(t, 2, 1)
		cs.close()
		d.expect(t, 2, 2)
	})
}

// TestTimeOutSaysWhatToDo: of an answer that did not come Ceph tells a number.
func TestTimeOutSaysWhatToDo(t *testing.T) {
	l := login{id: loginID{monitors: "[v2:192.0.2.1:3300]"}, cluster: "main"}
	silent := classify(coded(-int(syscall.ETIMEDOUT)))
	err := newDialer().connections(0, 0).use(t.Context(), l, func(*connection) error { return silent })
	if !errors.Is(err, volume.ErrUnavailable) {
		t.Errorf("%v does not wrap %v", err, volume.ErrUnavailable)
	}
	for _, words := range []string{"cluster main", "192.0.2.1:3300", "sdpctl doctor"} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%q does not say %q", err, words)
		}
	}
}

func TestFailedDialIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDialer()
		d.err = volume.ErrDenied
		cs := d.connections(time.Minute, 1)
		for range 3 {
			if err := cs.use(t.Context(), as("a"), nothing); !errors.Is(err, volume.ErrDenied) {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if len(d.dialled) != 3 {
			t.Errorf("dialled %d times, want 3", len(d.dialled))
		}
	})
}

func TestUseIsBoundedByContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDialer()
		d.takes = time.Minute
		cs := d.connections(0, 0)
		called := func(*connection) error { t.Error("called after the context had ended"); return nil }

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := cs.use(ended, as("a"), called); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		d.expect(t, 0, 0)

		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		if err := cs.use(short, as("a"), called); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if waited := time.Since(begun); waited != time.Second {
			t.Errorf("waited %s", waited)
		}
		// The dial goes on, and the next one finds its connection.
		if err := cs.use(t.Context(), as("a"), nothing); err != nil {
			t.Error(err)
		}
		d.expect(t, 1, 0)
		cs.close()
	})
}

func TestUnusedConnectionsClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDialer()
		cs := d.connections(5*time.Minute, 0)
		for range 3 {
			if err := cs.use(t.Context(), as("a"), nothing); err != nil {
				t.Fatal(err)
			}
			time.Sleep(4 * time.Minute)
		}
		d.expect(t, 1, 0)
		time.Sleep(2 * time.Minute)
		d.expect(t, 1, 1)
		if err := cs.use(t.Context(), as("a"), func(*connection) error { time.Sleep(time.Hour); return nil }); err != nil {
			t.Fatal(err)
		}
		d.expect(t, 2, 1)
		cs.close()
		d.expect(t, 2, 2)
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDialer()
		cs := d.connections(time.Hour, 3)
		for i := range 10 {
			if err := cs.use(t.Context(), as(strconv.Itoa(i)), nothing); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		d.expect(t, 10, 7)
		for want := range 7 {
			if got := <-d.shut; got != strconv.Itoa(want) {
				t.Errorf("closed %s before %d, which was unused longer", got, want)
			}
		}
		busy := func(call func(*connection) error) func(*connection) error {
			return func(*connection) error { return cs.use(t.Context(), as("x"+strconv.Itoa(len(d.dialled))), call) }
		}
		err := busy(busy(busy(nothing)))(nil)
		if err != nil {
			t.Errorf("three at once: %v", err)
		}
		if err := busy(busy(busy(busy(nothing))))(nil); !errors.Is(err, volume.ErrUnavailable) {
			t.Errorf("a fourth at once: %v", err)
		}
		cs.close()
	})
}
