package fake

import (
	_ "github.com/sdp-csi/sdp-csi/pkg/ceph"
	_ "github.com/sdp-csi/sdp-csi/pkg/mount"
)
