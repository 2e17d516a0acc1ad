package mount

import (
	_ "github.com/sdp-csi/sdp-csi/pkg/volume"
	_ "golang.org/x/sys/unix"
	_ "k8s.io/mount-utils"
)
