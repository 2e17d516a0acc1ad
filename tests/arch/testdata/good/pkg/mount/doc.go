// Package mount is test data.
package mount
