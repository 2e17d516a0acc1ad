// Package sharing stages, publishes and reads volumes of goldens with real
// sdp-csi processes, the fuse mapper and a real Ceph, with the keys that
// sdpctl would make. It kills the driver at every turn.
package sharing
