package sanity

import (
	_ "github.com/sdp-csi/sdp-csi/pkg/driver"
	_ "github.com/sdp-csi/sdp-csi/tests/realceph"
	_ "google.golang.org/grpc/codes"
)
