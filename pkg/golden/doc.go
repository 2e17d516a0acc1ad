// Package golden owns a golden's life: its file system image is built without
// any mount or privilege, written in parallel, read back, sealed, then
// resolved for new volumes, listed, and at last retired and deleted.
//
// pkg/golden/image makes the images. Ceph it knows through the port in
// store.go. It must not import gRPC, go-ceph or any backend.
package golden
