// Package function tests the function of the demo and of the benchmark of cold
// starts, hack/function, with the distribution's Python: a server that answers
// while its model loads, and whose answers can be compared.
package function
