// Package fake is test data.
package fake
