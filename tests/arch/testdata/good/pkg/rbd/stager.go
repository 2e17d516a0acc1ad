package rbd

import (
	_ "github.com/sdp-csi/sdp-csi/pkg/rbd/krbd"
	_ "github.com/sdp-csi/sdp-csi/pkg/tenant"
)
