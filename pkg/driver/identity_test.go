package driver

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func ready(t *testing.T, i *Identity) bool {
	t.Helper()
	got, err := i.Probe(t.Context(), &csi.ProbeRequest{})
	if err != nil || got.GetReady() == nil {
		t.Fatalf("Probe: %v, %v", got, err)
	}
	return got.GetReady().GetValue()
}

func TestProbe(t *testing.T) {
	for name, tc := range map[string]struct {
		answer error
		want   bool
	}{"reachable": {nil, true}, "not reachable": {volume.ErrUnavailable, false}} {
		t.Run(name, func(t *testing.T) {
			i := NewIdentity("v0", true, func(context.Context) error { return tc.answer })
			if got := ready(t, i); got != tc.want {
				t.Errorf("ready is %t, want %t", got, tc.want)
			}
		})
	}
}

// A Ceph that hangs costs a probe its time-out and one question in all,
// whether or not the question ends with its context.
func TestProbeOfAHungCeph(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		release := make(chan struct{})
		i := NewIdentity("v0", true, func(context.Context) error {
			asked.Add(1)
			<-release
			return nil
		})
		start := time.Now()
		for range 5 {
			if ready(t, i) {
				t.Error("ready without an answer")
			}
		}
		if took := time.Since(start); took != 5*probeTimeout || asked.Load() != 1 {
			t.Errorf("5 probes took %v and asked %d times", took, asked.Load())
		}
		close(release)
		synctest.Wait()
		if !ready(t, i) {
			t.Error("not ready after Ceph came back")
		}
	})
}

// The question is told when its probe is over.
func TestProbeDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		i := NewIdentity("v0", true, func(ctx context.Context) error {
			<-ctx.Done()
			ended <- ctx.Err()
			return ctx.Err()
		})
		if ready(t, i) {
			t.Error("ready without an answer")
		}
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the question ended with %v", err)
		}
	})
}

func TestPluginInfo(t *testing.T) {
	for _, controller := range []bool{true, false} {
		i := NewIdentity("v1.2.3", controller, nil)
		info, err := i.GetPluginInfo(t.Context(), &csi.GetPluginInfoRequest{})
		if err != nil || info.GetName() != Name || info.GetVendorVersion() != "v1.2.3" {
			t.Errorf("info %v, %v", info, err)
		}
		caps, err := i.GetPluginCapabilities(t.Context(), &csi.GetPluginCapabilitiesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		serves, grows := false, false
		for _, c := range caps.GetCapabilities() {
			serves = serves || c.GetService().GetType() == csi.PluginCapability_Service_CONTROLLER_SERVICE
			grows = grows || c.GetVolumeExpansion().GetType() == csi.PluginCapability_VolumeExpansion_ONLINE
		}
		if serves != controller || !grows {
			t.Errorf("capabilities %v with a controller: %t", caps, controller)
		}
	}
}
