package rbd

import (
	_ "C"
	_ "k8s.io/mount-utils"
)
