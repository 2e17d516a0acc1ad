// Package base is test data.
package base
