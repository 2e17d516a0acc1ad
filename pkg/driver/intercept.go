package driver

import (
	"context"
	"fmt"
	"path"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"k8s.io/klog/v2"
)

// intercept wraps every verb: a logger with the method in the context, panics
// become errors, errors become codes, and the call is logged once and counted.
// Requests are never logged: they carry keys.
func intercept(log klog.Logger, metrics *Metrics) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		method := path.Base(info.FullMethod)
		logger := log.WithValues("method", method)
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

func recovered(ctx context.Context, req any, handler grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if r := recover(); r != nil {
			klog.FromContext(ctx).Error(nil, "panic", "value", r, "stack", string(debug.Stack()))
			resp, err = nil, fmt.Errorf("panic: %v", r)
		}
	}()
	return handler(ctx, req)
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
		logger.V(2).Info("call", "code", code.String(), "ms", ms, "err", err.Error())
	}
}
