// Package cephfs is test data.
package cephfs
