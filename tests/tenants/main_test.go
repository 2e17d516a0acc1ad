package tenants

import (
	"os"
	"testing"

	"github.com/sdp-csi/sdp-csi/tests/daemon"
)

// TestMain builds the programs once for all tests.
func TestMain(m *testing.M) { os.Exit(daemon.Main(m)) }
