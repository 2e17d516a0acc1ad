package driver

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

const operationLimit = time.Minute

// never is a function that ends only when the test lets it.
func never(release <-chan struct{}) func(context.Context) error {
	return func(context.Context) error { <-release; return nil }
}

func nothing(context.Context) error { return nil }

// Operations on different keys never wait for each other.
func TestInflightKeysAreIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newInflight(operationLimit)
		release := make(chan struct{})
		defer close(release)
		go f.do(t.Context(), "a", never(release)) //nolint:errcheck // it ends with the test
		synctest.Wait()
		start := time.Now()
		if err := f.do(t.Context(), "b", nothing); err != nil || time.Since(start) != 0 {
			t.Errorf("b took %v beside a: %v", time.Since(start), err)
		}
	})
}

// Operations on one key run one after the other, each once.
func TestInflightSerialisesAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newInflight(operationLimit)
		running, ran := 0, 0
		for range 50 {
			go func() {
				err := f.do(t.Context(), "a", func(context.Context) error {
					if running++; running > 1 {
						t.Error("two run at once")
					}
					time.Sleep(time.Second)
					running--
					ran++
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if ran != 50 {
			t.Errorf("%d of 50 ran", ran)
		}
	})
}

// Who waits for a key gives up with ErrPending when its time is over.
func TestInflightWaiterGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newInflight(operationLimit)
		release := make(chan struct{})
		defer close(release)
		go f.do(t.Context(), "a", never(release)) //nolint:errcheck // it ends with the test
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f.do(ctx, "a", nothing); !errors.Is(err, volume.ErrPending) {
			t.Errorf("error %v, want ErrPending", err)
		}
	})
}

// A call that ends gets its answer at once; its operation goes on, owns the
// key until it really ends, and is not cancelled before its own limit.
func TestInflightOutlivesItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newInflight(operationLimit)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		own := make(chan context.Context, 1)
		start := time.Now()
		err := f.do(ctx, "a", func(ctx context.Context) error {
			own <- ctx
			time.Sleep(10 * time.Second)
			return ctx.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("answer after %v: %v", time.Since(start), err)
		}
		if (<-own).Err() != nil {
			t.Error("the operation was cancelled with its call")
		}
		if err := f.do(t.Context(), "a", nothing); err != nil || time.Since(start) != 10*time.Second {
			t.Errorf("the key was free after %v: %v", time.Since(start), err)
		}
	})
}

// An operation whose caller has gone is bounded by the limit.
func TestInflightLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newInflight(operationLimit)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go f.do(ctx, "a", func(ctx context.Context) error { //nolint:errcheck // the operation's own end is looked at
			<-ctx.Done()
			ended <- ctx.Err()
			return nil
		})
		synctest.Wait()
		cancel()
		start := time.Now()
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != operationLimit {
			t.Errorf("the operation ended after %v: %v", time.Since(start), err)
		}
	})
}

// An operation that never ends keeps no caller, not even one without a deadline:
// neither its own nor one that waits for its key.
func TestInflightWithoutADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newInflight(operationLimit)
		release := make(chan struct{})
		defer close(release)
		answers := make(chan error, 2)
		start := time.Now()
		for range cap(answers) {
			go func() { answers <- f.do(t.Context(), "a", never(release)) }()
			synctest.Wait()
		}
		first, second := <-answers, <-answers
		if !errors.Is(errors.Join(first, second), context.DeadlineExceeded) || !errors.Is(errors.Join(first, second), volume.ErrPending) {
			t.Errorf("answers %v and %v", first, second)
		}
		if took := time.Since(start); took != operationLimit+heeding {
			t.Errorf("answered after %v", took)
		}
	})
}

// The key is free before the answer is there: an answered caller can go on
// with the same volume at once.
func TestInflightReleasesBeforeTheAnswer(t *testing.T) {
	f := newInflight(operationLimit)
	for range 10_000 {
		if err := f.do(t.Context(), "a", nothing); err != nil {
			t.Fatal(err)
		}
		f.mu.Lock()
		if len(f.held) != 0 {
			t.Fatal("the key is held after the answer")
		}
		f.mu.Unlock()
	}
}

// A panic is an error of its call and frees the key.
func TestInflightPanic(t *testing.T) {
	f := newInflight(operationLimit)
	err := f.do(t.Context(), "a", func(context.Context) error { panic("a bug") })
	if !errors.Is(err, errPanic) {
		t.Errorf("error %v, want errPanic", err)
	}
	if err := f.do(t.Context(), "a", nothing); err != nil {
		t.Errorf("the key is held after a panic: %v", err)
	}
}

// A call that has ended begins nothing.
func TestInflightEndedCall(t *testing.T) {
	f := newInflight(operationLimit)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := f.do(ctx, "a", func(context.Context) error { t.Error("it ran"); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want Canceled", err)
	}
}

// A result is the operation's own, and none comes with an error.
func TestCall(t *testing.T) {
	f := newInflight(operationLimit)
	got, err := call(t.Context(), f, "a", func(context.Context) (int, error) { return 7, nil })
	if got != 7 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
	got, err = call(t.Context(), f, "a", func(context.Context) (int, error) { return 7, volume.ErrInvalid })
	if got != 0 || !errors.Is(err, volume.ErrInvalid) {
		t.Errorf("got %d, %v with an error", got, err)
	}
}

// A stop waits for what goes on without its caller, as long as it may.
func TestInflightDrain(t *testing.T) {
	for name, tc := range map[string]struct {
		takes, patience, want time.Duration
	}{
		"ends":       {takes: 5 * time.Second, patience: 20 * time.Second, want: 4 * time.Second},
		"does not":   {takes: time.Hour, patience: 20 * time.Second, want: 20 * time.Second},
		"ended long": {patience: 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newInflight(operationLimit)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_ = f.do(ctx, "a", func(context.Context) error { time.Sleep(tc.takes); return nil })
				patience, end := context.WithTimeout(t.Context(), tc.patience)
				defer end()
				start := time.Now()
				f.drain(patience)
				if took := time.Since(start); took != tc.want {
					t.Errorf("drained in %v, want %v", took, tc.want)
				}
				time.Sleep(tc.takes) // a bubble waits for all of its goroutines
			})
		})
	}
}
