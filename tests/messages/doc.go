// Package messages pins what the driver says when a claim cannot be served,
// as `kubectl describe` shows it: one sentence, with what to do. It runs the
// whole controller on the fake Ceph.
package messages
