package volume

import (
	_ "github.com/sdp-csi/sdp-csi/pkg/tenant"
	_ "k8s.io/klog/v2"
)
