package krbd

import (
	_ "github.com/sdp-csi/sdp-csi/pkg/ceph"
)
