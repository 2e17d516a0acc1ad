package sanity

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"

	"github.com/sdp-csi/sdp-csi/tests/daemon"
)

// copied is how many bytes the golden of these tests has: a copy of it takes
// longer than it takes to see that one is under way.
const copied = 128 << 20

// moments returns at which quarters of a copy the controller is killed. Each
// kill costs a minute, after which Ceph gives the dead client up, so there are
// more with SDP_STORM=full only.
func moments() []int64 {
	if os.Getenv("SDP_STORM") == "full" {
		return []int64{0, 1, 2, 3}
	}
	return []int64{2}
}

// TestKilledWhileCopying kills the controller while it copies a golden into a
// writable volume. The next one's answer is a whole volume, of which there is
// one, and in the end nothing is left.
func TestKilledWhileCopying(t *testing.T) {
	r := newRig(t)
	r.largeGolden(t, "large:v1")
	for i, share := range moments() {
		id := r.killAt(t, fmt.Sprintf("copy-%d", i), copied*share/4)
		d := r.start(t, "controller")
		if again := created(t, d, fmt.Sprintf("copy-%d", i)); again != id && id != "" {
			t.Errorf("the volume was %s and is %s", id, again)
		} else {
			id = again
		}
		if subvolumes := grep(r.contents(), "subvolume "); len(subvolumes) != 1 {
			t.Errorf("one volume has the subvolumes %v", subvolumes)
		}
		if held := grep(r.contents(), "references "); len(held) > 0 {
			t.Errorf("the whole volume still needs its golden: %v", held)
		}
		if _, err := csi.NewControllerClient(d.Conn).DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: id}); err != nil {
			t.Error(err)
		}
		wantNothing(t, "in Ceph", r.contents)
		d.Kill(t)
	}
}

// killAt asks a controller for a volume and kills it when it has copied so many
// bytes. It returns the volume's ID if the controller was faster.
func (r *rig) killAt(t *testing.T, name string, bytes int64) (id string) {
	t.Helper()
	metrics := daemon.FreeAddress(t)
	d := r.start(t, "controller", "--metrics-address="+metrics)
	answered := make(chan string, 1)
	go func() {
		v, _ := csi.NewControllerClient(d.Conn).CreateVolume(context.WithoutCancel(t.Context()), writable(name), grpc.WaitForReady(true))
		answered <- v.GetVolume().GetVolumeId()
	}()
	for {
		text := daemon.Scrape(t, metrics)
		if figure(t, text, "sdp_csi_copies_total") > 0 || figure(t, text, "sdp_csi_copies_running") > 0 && figure(t, text, "sdp_csi_copied_bytes_total") >= bytes {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	d.Kill(t)
	return <-answered
}

// figure reads one of the driver's figures.
func figure(t *testing.T, text, name string) int64 {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("the metrics have no %s", name)
	}
	f, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return int64(f)
}

// writable is the request for a writable volume of the large golden.
func writable(name string) *csi.CreateVolumeRequest {
	r := reader("cephfs", 0)
	r.Name, r.Parameters["golden"] = name, "large:v1"
	r.VolumeCapabilities[0].AccessMode.Mode = csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER
	return r
}

// created asks until there is the volume, as a provisioner does.
func created(t *testing.T, d *daemon.Driver, name string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stormPatience)
	defer cancel()
	for {
		v, err := csi.NewControllerClient(d.Conn).CreateVolume(ctx, writable(name), grpc.WaitForReady(true))
		if err == nil {
			return v.GetVolume().GetVolumeId()
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func grep(all []string, text string) (found []string) {
	for _, s := range all {
		if strings.Contains(s, text) {
			found = append(found, s)
		}
	}
	return found
}

// largeGolden imports a golden of some files that nothing can compress.
func (r *rig) largeGolden(t *testing.T, name string) {
	t.Helper()
	dir := filepath.Join(r.dir, "large")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	piece := make([]byte, copied/8)
	for i := range 8 {
		_, _ = rand.Read(piece)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), piece, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r.load(t, name, "cephfs", dir)
}
