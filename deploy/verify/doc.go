// Package verify holds deploy/ to what it claims: every kustomization renders
// and is strictly of the API's types, pods have no more privileges than written
// here, the flags exist, and the Helm chart is the base. It is a module of its
// own, so that the driver does not depend on what checks it.
//
// It must not import the driver's packages.
package verify
