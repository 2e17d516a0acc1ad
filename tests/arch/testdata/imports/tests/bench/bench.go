package bench

import (
	_ "github.com/sdp-csi/sdp-csi/hack/demo"
)
