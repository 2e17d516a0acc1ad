// Package krbd is test data.
package krbd
