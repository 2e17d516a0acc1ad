// Package bench measures the driver against raw baselines in the same run,
// because machines are noisy: every figure is a ratio, or a count. Its tests
// have the build tag bench and are run by the bench-* targets of the Makefile;
// a missed bound is reported, not failed.
package bench
