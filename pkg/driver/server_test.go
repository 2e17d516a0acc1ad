package driver_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/grpc/codes"

	"github.com/sdp-csi/sdp-csi/pkg/driver"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// generous bounds what happens at once on an idle machine.
const generous = 2 * time.Minute

// Neither a request nor a key is ever logged; the volume's ID is.
func TestLogsKeepSecrets(t *testing.T) {
	r := newRig(t)
	id := r.stage(t, blank("the-name-of-it"))
	bad := r.stageRequest(id, mounted(multiWriter))
	bad.Secrets["userKey"] = "d3JvbmctYnV0LXNlY3JldA=="
	_, err := r.NodeStageVolume(t.Context(), bad)
	wantCode(t, err, codes.PermissionDenied)
	bad.Secrets["userKey"], bad.Secrets["userID"] = "not base64 but secret", "the user, whoever"
	_, err = r.NodeStageVolume(t.Context(), bad)
	wantCode(t, err, codes.InvalidArgument)
	_, err = r.NodeUnstageVolume(t.Context(), &csi.NodeUnstageVolumeRequest{VolumeId: "who-knows-what", StagingTargetPath: "/s"})
	wantCode(t, err, codes.OK)
	text := r.logs.String()
	for _, secret := range []string{userKey, "d3Jvbmct", "not base64", "the user", "userID=", "csi.storage.k8s.io/pvc", "who-knows-what"} {
		if strings.Contains(text, secret) {
			t.Errorf("the log has %q:\n%s", secret, text)
		}
	}
	for _, wanted := range []string{`method="NodeStageVolume"`, `code="PermissionDenied"`, `volume="` + id + `"`} {
		if !strings.Contains(text, wanted) {
			t.Errorf("the log lacks %q:\n%s", wanted, text)
		}
	}
}

// Every call and every step of staging is counted.
func TestMetrics(t *testing.T) {
	r := newRig(t)
	r.stage(t, blank("v"))
	_, err := r.CreateVolume(t.Context(), &csi.CreateVolumeRequest{})
	wantCode(t, err, codes.InvalidArgument)
	counts := counted(t, r.metrics)
	for series, want := range map[string]uint64{
		"sdp_csi_call_duration_seconds OK CreateVolume":              1,
		"sdp_csi_call_duration_seconds InvalidArgument CreateVolume": 1,
		"sdp_csi_call_duration_seconds OK NodeStageVolume":           1,
		"sdp_csi_stage_step_duration_seconds record":                 1,
		"sdp_csi_stage_step_duration_seconds map":                    1,
		"sdp_csi_stage_step_duration_seconds format":                 1,
		"sdp_csi_stage_step_duration_seconds mount":                  1,
		"sdp_csi_stage_step_duration_seconds grow":                   1,
	} {
		if counts[series] != want {
			t.Errorf("%s was counted %d times, want %d; all: %v", series, counts[series], want, counts)
		}
	}
}

func counted(t *testing.T, g prometheus.Gatherer) map[string]uint64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]uint64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			counts[seriesOf(f, m)] = m.GetHistogram().GetSampleCount()
		}
	}
	return counts
}

func seriesOf(f *dto.MetricFamily, m *dto.Metric) string {
	name := f.GetName()
	for _, l := range m.GetLabel() {
		name += " " + l.GetValue()
	}
	return name
}

// broken is a backend with a bug.
type broken struct{ driver.Backend }

func (broken) Get(context.Context, tenant.Place, volume.ID) (volume.Volume, error) {
	panic("the secret of the bug")
}

func (broken) Delete(context.Context, tenant.Place, volume.ID) error {
	return errors.New("no sentinel")
}

// A bug is Internal for its caller, has its stack in the log, and ends nothing.
func TestBugs(t *testing.T) {
	r := newRig(t, func(co *driver.ControllerOptions, _ *driver.NodeOptions) {
		co.Backends = map[volume.Backend]driver.Backend{volume.RBD: broken{}}
	})
	id := "sdp1.rbd.main.acme." + someHash
	for range 2 {
		_, err := r.ControllerGetVolume(t.Context(), &csi.ControllerGetVolumeRequest{VolumeId: id})
		wantCode(t, err, codes.Internal)
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the caller is told %v", err)
		}
		// This one panics in its operation: no backend is behind it.
		_, err = r.CreateSnapshot(t.Context(), &csi.CreateSnapshotRequest{Name: "s", SourceVolumeId: id})
		wantCode(t, err, codes.Internal)
		_, err = r.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: id})
		wantCode(t, err, codes.Internal)
	}
	if text := r.logs.String(); !strings.Contains(text, "the secret of the bug") || !strings.Contains(text, "server_test.go") {
		t.Errorf("the log has no stack of the panic:\n%s", text)
	}
}

// A call that ends while Ceph is slow gets its answer; the next one for the
// volume waits for the first one's operation, and finds its result.
func TestSlowCeph(t *testing.T) {
	r := newRig(t)
	r.create(t, blank("fast"))
	once := creations(r.ceph.Trace())
	began, release := make(chan struct{}), make(chan struct{})
	var first sync.Once
	r.ceph.Reset(func(c fake.Call) fake.Fault {
		if c.Port == "CreateImage" {
			first.Do(func() { close(began); <-release })
		}
		return fake.Fault{}
	})
	ctx, giveUp := context.WithCancel(t.Context())
	answers := make(chan error, 2)
	go func() { _, err := r.CreateVolume(ctx, blank("slow")); answers <- err }()
	<-began
	giveUp()
	wantCode(t, <-answers, codes.Canceled)
	go func() { _, err := r.CreateVolume(t.Context(), blank("slow")); answers <- err }()
	close(release)
	wantCode(t, <-answers, codes.OK)
	if n := creations(r.ceph.Trace()); n != once {
		t.Errorf("creating the image took %d steps, want %d", n, once)
	}
}

func creations(trace []fake.Call) (n int) {
	for _, c := range trace {
		if c.Port == "CreateImage" {
			n++
		}
	}
	return n
}

func TestServeRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	live, err := net.Listen("unix", filepath.Join(dir, "live"))
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	for name, tc := range map[string]struct {
		endpoint string
		err      error
	}{
		"nothing":          {"", volume.ErrInvalid},
		"TCP":              {"tcp://127.0.0.1:1", volume.ErrInvalid},
		"relative":         {"unix://csi.sock", volume.ErrInvalid},
		"a file":           {"unix://" + file, volume.ErrInvalid},
		"another driver's": {"unix://" + filepath.Join(dir, "live"), volume.ErrInUse},
		"no directory":     {"unix://" + filepath.Join(dir, "none", "csi.sock"), os.ErrNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			server := &driver.Server{Identity: driver.NewIdentity("v0", false, nil), Metrics: driver.NewMetrics(prometheus.NewRegistry())}
			if err := server.Serve(t.Context(), tc.endpoint); !errors.Is(err, tc.err) {
				t.Errorf("error %v, want %v", err, tc.err)
			}
		})
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("the file is gone: %v", err)
	}
}

// The socket that a killed driver left is replaced; one that was told to stop
// before it began does not begin.
func TestServeReplacesADeadSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "csi.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	server := &driver.Server{Identity: driver.NewIdentity("v0", false, nil), Metrics: driver.NewMetrics(prometheus.NewRegistry())}
	if err := server.Serve(ctx, "unix://"+socket); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// A stop lets a running call end.
func TestServeStopsGracefully(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	server := &driver.Server{Metrics: driver.NewMetrics(prometheus.NewRegistry())}
	server.Identity = driver.NewIdentity("v0", false, func(context.Context) error { close(asked); <-release; return nil })
	r, socket := &rig{}, filepath.Join(t.TempDir(), "csi.sock")
	r.connect(t, "unix://"+socket)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, "unix://"+socket) }()
	answer := make(chan error, 1)
	go func() { _, err := r.Probe(t.Context(), &csi.ProbeRequest{}); answer <- err }()
	<-asked
	stop()
	select {
	case err := <-ended:
		t.Errorf("Serve ended before its call: %v", err)
	case <-time.After(10 * time.Millisecond):
	}
	close(release)
	if err := <-answer; err != nil {
		t.Errorf("the running call: %v", err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("Serve: %v", err)
		}
	case <-time.After(generous):
		t.Error("Serve does not end")
	}
}
