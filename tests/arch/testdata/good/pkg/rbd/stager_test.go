package rbd

import (
	_ "github.com/sdp-csi/sdp-csi/tests/fake"
)
