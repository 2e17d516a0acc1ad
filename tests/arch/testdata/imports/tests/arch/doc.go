// Package arch is test data.
package arch
