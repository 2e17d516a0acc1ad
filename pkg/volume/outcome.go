package volume

import (
	"context"
	"errors"
	"fmt"
)

// IsOpen says that a failed change may still take effect, or is another
// controller's now. Then its record stays, and the next call, which the error
// asks for, goes by it: undoing things at once could come too early.
func IsOpen(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrPending) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// Undone adds to a failure that what it left could not be removed. The answer
// is then to try again, whatever the failure was: a caller that takes it for
// final would never come back, and what is left would stay.
func Undone(cause, cleanup error) error {
	if cleanup == nil {
		return cause
	}
	return fmt.Errorf("%w; what that left is not removed as yet: %w: %w", cause, cleanup, ErrUnavailable)
}
