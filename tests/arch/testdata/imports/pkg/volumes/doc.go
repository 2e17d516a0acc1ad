// Package volumes is test data.
package volumes
