package arch

import (
	_ "github.com/sdp-csi/sdp-csi/pkg/volume"
)
