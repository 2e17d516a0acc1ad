package tenant

import (
	_ "github.com/sdp-csi/sdp-csi/pkg/golden"
)
