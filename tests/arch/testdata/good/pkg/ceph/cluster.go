package ceph

import (
	_ "C"
	_ "github.com/ceph/go-ceph/rados"
	_ "github.com/sdp-csi/sdp-csi/pkg/golden"
	_ "github.com/sdp-csi/sdp-csi/pkg/rbd"
)
