package golden

// Step is a step of an import. Steps can run at the same time.
type Step string

// The steps, in the order in which they begin.
const (
	// StepUnpack copies what cannot be read in place to the scratch directory.
	StepUnpack Step = "unpack"
	// StepBuild makes an ext4 image in the scratch directory.
	StepBuild Step = "build"
	// StepWrite writes the image to Ceph and takes its digest.
	StepWrite Step = "write"
	// StepVerify reads the image back from Ceph.
	StepVerify Step = "verify"
)

// Progress hears how many bytes of a step are done. A total of 0 is not known
// as yet. It is called from one goroutine at a time, often, and must not wait.
type Progress func(step Step, done, total int64)
