// Package openwhisk makes the pod of an OpenWhisk action of the pod template of
// its invoker, as OpenWhisk itself does it: what an invoker's example of
// deploy/kubernetes becomes can be tested without an OpenWhisk.
//
// It must not import the driver's packages.
package openwhisk
