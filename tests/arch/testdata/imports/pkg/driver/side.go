package driver

import (
	_ "github.com/sdp-csi/sdp-csi/pkg/mount"
	_ "github.com/sdp-csi/sdp-csi/pkg/rbd"
)
