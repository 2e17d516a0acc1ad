package rbd

import (
	_ "google.golang.org/grpc/status"
)
