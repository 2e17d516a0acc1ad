// Package sanity is test data.
package sanity
