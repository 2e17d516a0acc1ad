// Package driver has its comment in the wrong file.
package driver
