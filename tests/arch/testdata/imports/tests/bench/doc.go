// Package bench is test data.
package bench
