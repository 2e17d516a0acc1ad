package main

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The exit codes, as `sdpctl --help` documents them.
const (
	exitOK          = 0
	exitInternal    = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitConflict    = 4
	exitDenied      = 5
	exitUnavailable = 6
	exitInUse       = 7
	exitNoSpace     = 8
	exitUnsupported = 9
	exitInterrupted = 130
)

const exitCodesHelp = `Exit codes:
  0    done
  1    a bug of sdpctl, or doctor found a fault
  2    the command line, a name or the input is not valid
  3    what was named does not exist
  4    the name exists with other content, or another operation on it runs
  5    the policy or the key does not allow it
  6    Ceph or this machine did not answer: try again
  7    something that must go first still exists
  8    no space left, or a size out of range
  9    this machine lacks a program or a feature
  130  interrupted`

// codeOf are the exit codes of the sentinels. The first row that matches wins.
var codeOf = []struct {
	err  error
	code int
}{
	{context.Canceled, exitInterrupted},
	{errUsage, exitUsage},
	{volume.ErrUnavailable, exitUnavailable},
	{context.DeadlineExceeded, exitUnavailable},
	{volume.ErrPending, exitConflict},
	{volume.ErrInvalid, exitUsage},
	{volume.ErrBadToken, exitUsage},
	{volume.ErrDenied, exitDenied},
	{volume.ErrOutOfRange, exitNoSpace},
	{volume.ErrNoSpace, exitNoSpace},
	{volume.ErrInUse, exitInUse},
	{volume.ErrHasSnapshots, exitInUse},
	{volume.ErrUnsupported, exitUnsupported},
	{volume.ErrConflict, exitConflict},
	{volume.ErrExists, exitConflict},
	{volume.ErrNotFound, exitNotFound},
	{fs.ErrNotExist, exitNotFound},
	{fs.ErrPermission, exitDenied},
	{syscall.EISDIR, exitUsage},
}

// errUsage marks what cobra found wrong on the command line.
var errUsage = errors.New("wrong usage")

// exitCode is the one place where errors become exit codes.
func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	for _, row := range codeOf {
		if errors.Is(err, row.err) {
			return row.code
		}
	}
	return exitInternal
}
