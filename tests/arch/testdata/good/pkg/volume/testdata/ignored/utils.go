// Package utils is ignored.
package utils
