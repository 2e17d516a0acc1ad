package demo

import (
	_ "github.com/sdp-csi/sdp-csi/pkg/driver"
)
