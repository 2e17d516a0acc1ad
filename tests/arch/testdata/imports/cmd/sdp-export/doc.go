// Package main is test data.
package main
