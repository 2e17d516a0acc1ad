package mount

import (
	_ "github.com/sdp-csi/sdp-csi/pkg/rbd"
)
