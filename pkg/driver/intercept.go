package driver

import (
	"context"
	"errors"
	"path"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// intercept wraps every verb: a logger with the method and the volume's ID in
// the context, panics become errors, errors become codes, and the call is
// logged once and counted. Requests are never logged: they carry keys.
func intercept(log klog.Logger, metrics *Metrics) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		method := path.Base(info.FullMethod)
		logger := named(log.WithValues("method", method), req)
		start := time.Now()
		resp, err := recovered(klog.NewContext(ctx, logger), req, handler)
		err = toStatus(err)
		elapsed := time.Since(start)
		metrics.observe(method, status.Code(err), elapsed)
		logCall(logger, err, elapsed)
		if err != nil {
			return nil, err
		}
		return resp, nil
	}
}

// named adds the volume or snapshot that a request names to its logger, where
// the ID is one of ours: any other text could be anything.
func named(logger klog.Logger, req any) klog.Logger {
	if r, ok := req.(interface{ GetVolumeId() string }); ok {
		if id, err := volume.ParseID(r.GetVolumeId()); err == nil {
			logger = logger.WithValues("volume", id.String())
		}
	}
	if r, ok := req.(interface{ GetSnapshotId() string }); ok {
		if id, err := volume.ParseSnapshotID(r.GetSnapshotId()); err == nil {
			logger = logger.WithValues("snapshot", id.String())
		}
	}
	return logger
}

func recovered(ctx context.Context, req any, handler grpc.UnaryHandler) (resp any, err error) {
	defer rescue(ctx, &err)
	return handler(ctx, req)
}

// errPanic is no sentinel: it becomes Internal.
var errPanic = errors.New("the driver has a bug: its log has the stack of this call")

// rescue is deferred: it turns a panic into an error. What the panic says goes
// to the log only, with the stack.
func rescue(ctx context.Context, err *error) {
	if r := recover(); r != nil {
		klog.FromContext(ctx).Error(nil, "panic", "value", r, "stack", string(debug.Stack()))
		*err = errPanic
	}
}

// logCall tells bugs and outages from what callers do wrong.
func logCall(logger klog.Logger, err error, elapsed time.Duration) {
	ms := elapsed.Milliseconds()
	switch code := status.Code(err); code {
	case codes.OK:
		logger.V(4).Info("call", "code", code.String(), "ms", ms)
	case codes.Internal, codes.Unavailable, codes.Unknown, codes.DeadlineExceeded:
		logger.Error(err, "call", "code", code.String(), "ms", ms)
	default:
		logger.V(2).Info("call", "code", code.String(), "ms", ms, "err", status.Convert(err).Message())
	}
}
