package rbd

import (
	_ "github.com/sdp-csi/sdp-csi/pkg/cephfs"
	_ "github.com/sdp-csi/sdp-csi/tests/fake"
)
