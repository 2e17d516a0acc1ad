package driver

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// codeOf are the sentinels' codes (CSI spec, Error Scheme). The first row that
// matches wins: where an error joins several, what says «retry» comes first,
// because something may be left over that the retry has to finish.
var codeOf = []struct {
	err  error
	code codes.Code
}{
	{volume.ErrUnavailable, codes.Unavailable},
	{context.DeadlineExceeded, codes.DeadlineExceeded},
	{context.Canceled, codes.Canceled},
	{volume.ErrPending, codes.Aborted},
	{volume.ErrBadToken, codes.Aborted},
	{volume.ErrInvalid, codes.InvalidArgument},
	{volume.ErrDenied, codes.PermissionDenied},
	{volume.ErrOutOfRange, codes.OutOfRange},
	{volume.ErrNoSpace, codes.ResourceExhausted},
	{volume.ErrInUse, codes.FailedPrecondition},
	{volume.ErrPrecondition, codes.FailedPrecondition},
	{volume.ErrHasSnapshots, codes.FailedPrecondition},
	{volume.ErrUnsupported, codes.FailedPrecondition},
	{volume.ErrConflict, codes.AlreadyExists},
	{volume.ErrExists, codes.AlreadyExists},
	{volume.ErrNotFound, codes.NotFound},
}

// toStatus is the one place where errors become gRPC codes. An error without
// a sentinel is a bug of ours: Internal. A status passes as it is.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	for _, row := range codeOf {
		if errors.Is(err, row.err) {
			return status.Error(row.code, err.Error())
		}
	}
	return status.Error(codes.Internal, err.Error())
}
