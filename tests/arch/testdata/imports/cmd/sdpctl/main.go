package main

import (
	_ "github.com/sdp-csi/sdp-csi/pkg/driver"
	_ "github.com/sdp-csi/sdp-csi/tests/fake"
)
