package conformance

import (
	"flag"
	"os"
	"testing"
)

// TestMain lets eight tests run at once: they wait for Ceph, not for a core.
// It is set here because Ginkgo, which tests/sanity needs, refuses go test's
// -parallel.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
