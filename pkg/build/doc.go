// Package build tells what a program was built of.
//
// It must not import any package of the project.
package build
