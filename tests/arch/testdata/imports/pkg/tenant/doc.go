// Package tenant is test data.
package tenant
