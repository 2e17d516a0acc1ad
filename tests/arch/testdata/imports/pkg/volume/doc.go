// Package volume is test data.
package volume
