package driver

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// sentinels are all of pkg/volume, by name; TestEverySentinelHasACode holds
// the table complete.
var sentinels = map[string]struct {
	err  error
	code codes.Code
}{
	"ErrInvalid":      {volume.ErrInvalid, codes.InvalidArgument},
	"ErrNotFound":     {volume.ErrNotFound, codes.NotFound},
	"ErrConflict":     {volume.ErrConflict, codes.AlreadyExists},
	"ErrOutOfRange":   {volume.ErrOutOfRange, codes.OutOfRange},
	"ErrNoSpace":      {volume.ErrNoSpace, codes.ResourceExhausted},
	"ErrDenied":       {volume.ErrDenied, codes.PermissionDenied},
	"ErrInUse":        {volume.ErrInUse, codes.FailedPrecondition},
	"ErrPrecondition": {volume.ErrPrecondition, codes.FailedPrecondition},
	"ErrHasSnapshots": {volume.ErrHasSnapshots, codes.FailedPrecondition},
	"ErrUnsupported":  {volume.ErrUnsupported, codes.FailedPrecondition},
	"ErrPending":      {volume.ErrPending, codes.Aborted},
	"ErrBadToken":     {volume.ErrBadToken, codes.Aborted},
	"ErrUnavailable":  {volume.ErrUnavailable, codes.Unavailable},
	"ErrExists":       {volume.ErrExists, codes.AlreadyExists},
}

func TestEverySentinelHasACode(t *testing.T) {
	for _, name := range declaredErrors(t, "../volume/errors.go") {
		if _, ok := sentinels[name]; !ok {
			t.Errorf("volume.%s has no code", name)
		}
	}
	for name, want := range sentinels {
		wrapped := fmt.Errorf("clone image a: %w", want.err)
		if got := toStatus(wrapped); status.Code(got) != want.code || status.Convert(got).Message() != wrapped.Error() {
			t.Errorf("%s becomes %v, want %v", name, got, want.code)
		}
	}
}

func declaredErrors(t *testing.T, file string) (names []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range f.Scope.Objects {
		if o.Kind == ast.Var && strings.HasPrefix(name, "Err") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		t.Fatalf("%s declares no errors", file)
	}
	return names
}

func TestToStatus(t *testing.T) {
	tests := map[string]struct {
		err  error
		code codes.Code
	}{
		"none":                        {nil, codes.OK},
		"without a sentinel":          {errors.New("a bug"), codes.Internal},
		"panic":                       {errPanic, codes.Internal},
		"deadline":                    {fmt.Errorf("a: %w", context.DeadlineExceeded), codes.DeadlineExceeded},
		"cancelled":                   {fmt.Errorf("a: %w", context.Canceled), codes.Canceled},
		"a status":                    {status.Error(codes.Unimplemented, "no"), codes.Unimplemented},
		"invalid, with a failed undo": {errors.Join(volume.ErrInvalid, volume.ErrUnavailable), codes.Unavailable},
		"full, with a slow undo":      {errors.Join(volume.ErrNoSpace, context.DeadlineExceeded), codes.DeadlineExceeded},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := status.Code(toStatus(tc.err)); got != tc.code {
				t.Errorf("code %v, want %v", got, tc.code)
			}
		})
	}
}
