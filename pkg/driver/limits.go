package driver

import "time"

// Limits bound what a service does.
type Limits struct {
	// Operation bounds an operation that goes on after its call has ended;
	// 0 means DefaultOperation.
	Operation time.Duration
}

// DefaultOperation is longer than the kubelet's and the sidecars' time-outs,
// so that a slow operation is finished rather than begun again.
const DefaultOperation = 5 * time.Minute

func (l Limits) operation() time.Duration {
	if l.Operation > 0 {
		return l.Operation
	}
	return DefaultOperation
}
