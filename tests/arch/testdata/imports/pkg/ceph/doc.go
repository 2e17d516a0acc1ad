// Package ceph is test data.
package ceph
