package sanity

import (
	_ "k8s.io/mount-utils"
)
