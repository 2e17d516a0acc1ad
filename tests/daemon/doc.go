// Package daemon runs the project's own programs as processes, for tests that
// measure or kill them. It must not import what those programs are made of.
package daemon
