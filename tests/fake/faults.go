package fake

import (
	"context"
	"fmt"
	"sync"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Call is one effect of a port call. Calls that are several steps in a real
// Ceph (an index entry, then a record) have an effect for each.
type Call struct {
	N    int    // 1, 2, 3… since the last Reset
	Port string // the method's name
	Name string // what it was called on
}

// String is how traces show the call.
func (c Call) String() string { return c.Port + " " + c.Name }

// Fault is what goes wrong with one effect. The zero Fault is nothing.
type Fault struct {
	When When
	// Err is the call's answer; nil is volume.ErrUnavailable.
	Err error
	// Crash makes all later calls fail without effect, until Restart.
	Crash bool
}

// When tells how a fault meets the effect.
type When int

// A fault comes before the effect, after it, or the effect comes after the
// answer: when Settle is called.
const (
	Never When = iota
	Before
	After
	Late
)

// Hook decides about each effect. It runs outside all locks, so it may block
// (to hold one call while others go on) and may use the fake.
type Hook func(Call) Fault

// At is the hook that lets the n-th effect meet the fault, and no other.
func At(n int, f Fault) Hook {
	return func(c Call) Fault {
		if c.N == n {
			return f
		}
		return Fault{}
	}
}

// Faults are what goes wrong with the calls of a Ceph and its hosts. Safe for
// concurrent use.
type Faults struct {
	world *sync.Mutex // guards what effects change

	mu      sync.Mutex
	hook    Hook
	trace   []Call
	late    []func() error
	crashed bool
}

// Reset sets the hook (nil: all goes well) and counts from 1 again.
func (f *Faults) Reset(h Hook) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook, f.trace = h, nil
}

// Trace returns the calls since the last Reset, in the order they began.
func (f *Faults) Trace() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Call(nil), f.trace...)
}

// Crashed says whether a crash is waiting for its Restart.
func (f *Faults) Crashed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.crashed
}

// Settle lets the effects of late calls happen, in order.
func (f *Faults) Settle() {
	f.mu.Lock()
	late := f.late
	f.late = nil
	f.mu.Unlock()
	f.world.Lock()
	defer f.world.Unlock()
	for _, effect := range late {
		// Nobody waits for the answer of a late call.
		_ = effect()
	}
}

func (f *Faults) restart() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook, f.crashed = nil, false
}

// do is a port call: its effects in turn, until one fails.
func (f *Faults) do(ctx context.Context, port, name string, effects ...func() error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s %s: %w", port, name, err)
	}
	for _, effect := range effects {
		if err := f.run(Call{Port: port, Name: name}, effect); err != nil {
			return fmt.Errorf("%s %s: %w", port, name, err)
		}
	}
	return nil
}

// get is do for a call with a result.
func get[T any](ctx context.Context, f *Faults, port, name string, effect func() (T, error)) (T, error) {
	var result T
	err := f.do(ctx, port, name, func() (err error) {
		result, err = effect()
		return err
	})
	if err != nil {
		var zero T
		return zero, err
	}
	return result, nil
}

func (f *Faults) run(c Call, effect func() error) error {
	fault := f.meet(c)
	switch fault.When {
	case Before:
		return fault.answer()
	case Late:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.late = append(f.late, effect)
		return fault.answer()
	case After:
		_ = f.locked(effect) // the answer is lost
		return fault.answer()
	}
	return f.locked(effect)
}

func (f *Faults) locked(effect func() error) error {
	f.world.Lock()
	defer f.world.Unlock()
	return effect()
}

// meet counts the call and asks the hook about it.
func (f *Faults) meet(c Call) Fault {
	f.mu.Lock()
	c.N = len(f.trace) + 1
	f.trace = append(f.trace, c)
	hook, crashed := f.hook, f.crashed
	f.mu.Unlock()
	if crashed {
		return Fault{When: Before}
	}
	if hook == nil {
		return Fault{}
	}
	fault := hook(c)
	if fault.Crash {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.crashed = true
	}
	return fault
}

func (f Fault) answer() error {
	if f.Err != nil {
		return f.Err
	}
	return fmt.Errorf("no answer: %w", volume.ErrUnavailable)
}
