// Package fake is a Ceph and a host's kernel in memory, the only ones of
// their kind in this project. Ceph implements rbd.Cluster, rbd.Reader and
// golden.Store; Host implements rbd.Mapper, rbd.Host and driver.Mounter.
// tests/conformance holds them to what the real ones do.
//
// Every port call counts, and a Hook can make any of its effects fail, come
// late, or be the last thing that the process did. What Ceph and the host
// hold outlives that, as in the world. It must not import pkg/driver or
// pkg/ceph.
package fake
