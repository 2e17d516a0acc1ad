// Package driver is test data.
package driver
