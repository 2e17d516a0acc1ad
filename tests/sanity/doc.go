// Package sanity runs csi-sanity of csi-test, and a storm of requests, against
// the real sdp-csi program: real gRPC, a real Ceph, the fuse mapper and real
// mounts. It is the only package that uses Ginkgo, because csi-sanity does.
package sanity
