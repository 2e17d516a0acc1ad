// Package golden is test data.
package golden
