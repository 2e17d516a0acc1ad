// Registry serves what the benchmark of cold starts fetches by HTTP: container
// images, by the registry of github.com/distribution/distribution, and files.
// It also tells how large the images are. hack/registry/prepare fills it.
package main
