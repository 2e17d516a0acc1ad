package golden

import (
	_ "github.com/ceph/go-ceph/rbd"
	_ "google.golang.org/grpc/codes"
)
