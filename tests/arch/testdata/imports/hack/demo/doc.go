// Package demo is test data.
package demo
