package golden

// Step is a step of an import. An import has one to three of them.
type Step string

// The steps, in the order in which they begin.
const (
	// StepUnpack copies what cannot be read in place to the scratch directory.
	StepUnpack Step = "unpack"
	// StepBuild makes an ext4 image in the scratch directory.
	StepBuild Step = "build"
	// StepWrite writes the image to Ceph, reads it back and takes its digest.
	StepWrite Step = "write"
	// StepVerify reads back the files that were written.
	StepVerify Step = "verify"
	// StepCompare takes the digest of what is to be imported, where the
	// golden is there already.
	StepCompare Step = "compare"
)

// Progress hears how many bytes of a step are done. A total of 0 is not known
// as yet. It is called from one goroutine at a time, often, and must not wait.
type Progress func(step Step, done, total int64)
