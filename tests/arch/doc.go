// Package arch reads all sources of the project and reports what breaks the
// house's rules: imports that flow the wrong way, code that speaks gRPC, Ceph
// or mounts outside the one package that may, package-level state, functions
// and files that are too long, names that say nothing.
//
// It knows the sources only as text: it must not import any package of the
// project, and needs neither Ceph nor its headers.
package arch
