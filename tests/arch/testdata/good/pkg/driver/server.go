package driver

import (
	_ "github.com/container-storage-interface/spec/lib/go/csi"
	_ "github.com/sdp-csi/sdp-csi/pkg/tenant"
	_ "google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/status"
)
