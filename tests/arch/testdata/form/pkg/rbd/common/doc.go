// Package common is test data.
package common
