// Package driver speaks CSI. Each verb is a paragraph: parse the request,
// authorize it, take its key, call a port, answer. It alone imports gRPC and
// the CSI specification; it must not know Ceph or mounts.
package driver
