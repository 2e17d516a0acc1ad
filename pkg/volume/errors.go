package volume

import "errors"

// The sentinels. Every error that leaves a package wraps exactly one of them;
// pkg/driver alone turns them into gRPC codes, cmd/sdpctl into exit codes.
var (
	// ErrInvalid is returned when the request can never succeed as it is.
	ErrInvalid = errors.New("invalid")
	// ErrNotFound is returned when what the request names does not exist.
	ErrNotFound = errors.New("not found")
	// ErrConflict is returned when the name exists with other properties.
	ErrConflict = errors.New("already exists with other properties")
	// ErrOutOfRange is returned when a size cannot be met.
	ErrOutOfRange = errors.New("out of range")
	// ErrNoSpace is returned when a limit or the pool is exhausted.
	ErrNoSpace = errors.New("no space")
	// ErrDenied is returned when the tenant, or the key, may not do this.
	ErrDenied = errors.New("denied")
	// ErrInUse is returned when something that must go first still exists.
	ErrInUse = errors.New("in use")
	// ErrPrecondition is returned when a step that must come first was left
	// out, or when the volume as it is cannot be used in the way that the
	// node was asked for: written, as a block volume, with another file system.
	ErrPrecondition = errors.New("precondition not met")
	// ErrHasSnapshots is returned when an image cannot be removed because
	// snapshots, or clones of one in its trash, hang on it. It does not reach
	// a caller: such an image is renamed and removed with the last of them.
	ErrHasSnapshots = errors.New("has snapshots")
	// ErrPending is returned when another operation on the same thing runs.
	ErrPending = errors.New("operation pending")
	// ErrBadToken is returned when a list token is not one that we issued.
	ErrBadToken = errors.New("bad list token")
	// ErrUnavailable is returned when Ceph or the kernel did not answer, or
	// answered something that leaves open whether the change was made: retry.
	ErrUnavailable = errors.New("unavailable")
	// ErrExists is returned by exclusive creates on ports. It does not reach
	// a caller: the noun that creates decides what the existing thing means.
	ErrExists = errors.New("exists")
	// ErrUnsupported is returned when the node, its kernel or the mapper
	// cannot do what the volume needs.
	ErrUnsupported = errors.New("not supported here")
)
