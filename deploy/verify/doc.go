// Package verify holds deploy/ to what it claims: every kustomization renders
// and is strictly of the API's types, pods have no more privileges than written
// here, the flags exist, the Helm chart is the base, and the examples are what
// their platforms take. It is a module of its own, so that the driver does not
// depend on what checks it.
//
// It must not import the driver's packages.
package verify
