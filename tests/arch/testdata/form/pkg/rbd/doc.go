// Package rbd is test data.
package rbd
