package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/kubernetes"
	"github.com/sdp-csi/sdp-csi/pkg/kubernetes/checkup"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/fake"
)

// examine runs doctor and returns its findings, without those that are well.
func (d *desk) examine(args ...string) (faults []checkup.Finding, code int) {
	d.t.Helper()
	out, stderr, code := d.run(append([]string{"doctor", "-o", "json"}, args...)...)
	var all []checkup.Finding
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		d.t.Fatalf("%v: %s, %s", err, out, stderr)
	}
	for _, f := range all {
		if f.Level != checkup.OK {
			faults = append(faults, f)
		}
	}
	if len(all) == 0 {
		d.t.Error("nothing was looked at")
	}
	return faults, code
}

// wantFault wants one fault, with a remedy.
func (d *desk) wantFault(level checkup.Level, says string, args ...string) {
	d.t.Helper()
	faults, code := d.examine(args...)
	// `ceph auth caps` takes away what it does not name, and this cluster has CephFS.
	if len(faults) == 1 && strings.Contains(faults[0].Fix, "ceph auth caps") && !strings.Contains(faults[0].Fix, "cephfs.md") {
		d.t.Errorf("the remedy takes rights away: %s", faults[0].Fix)
	}
	if len(faults) != 1 || faults[0].Level != level || !strings.Contains(faults[0].Says, says) || faults[0].Fix == "" {
		d.t.Errorf("faults %+v, want one %s with %q", faults, level, says)
	}
	if (code != exitOK) != (level == checkup.Failed) {
		d.t.Errorf("exit code %d for %s", code, level)
	}
}

func newWell(t *testing.T) *desk {
	t.Helper()
	d := newDesk(t)
	d.must("tenant", "create", "acme")
	d.must("tenant", "create", "globex")
	d.must("golden", "import", "--tenant", "acme", "resnet50:v1", d.model)
	return d
}

func TestDoctorFindsNoFaultWhereThereIsNone(t *testing.T) {
	d := newWell(t)
	if faults, code := d.examine("--only", "ceph", "--controller-user", "sdp", "--golden", "acme/resnet50:v1"); len(faults) > 0 || code != exitOK {
		t.Errorf("code %d, faults %+v", code, faults)
	}
}

func TestDoctorFindsFaultsOfCeph(t *testing.T) {
	d := newWell(t)
	d.wantFault(checkup.Failed, "acme/other:v1 does not exist", "--only", "ceph", "--golden", "acme/other:v1")
	d.wantFault(checkup.Failed, "not found", "--only", "ceph", "--controller-user", "nobody")
	d.wantFault(checkup.Failed, "no right on file system cephfs", "--only", "ceph", "--controller-user", "sdp-rbd")
	d.wantFault(checkup.Warning, "only with --volume-users=self", "--only", "ceph", "--controller-user", "sdp-users")
	d.wantFault(checkup.Warning, "fs subvolume authorize", "--only", "ceph", "--controller-user", "sdp-module")
	d.ceph.Reset(func(c fake.Call) fake.Fault {
		if c.Port == "Serving" {
			return fake.Fault{When: fake.Before}
		}
		return fake.Fault{}
	})
	d.wantFault(checkup.Failed, "unavailable", "--only", "ceph", "--controller-user", "sdp")
	d.ceph.Reset(func(c fake.Call) fake.Fault {
		if c.Port == "Ping" {
			return fake.Fault{When: fake.Before}
		}
		return fake.Fault{}
	})
	d.wantFault(checkup.Failed, "no answer", "--only", "ceph")
	d.ceph.Reset(func(c fake.Call) fake.Fault {
		if c.Port == "Matches" {
			return fake.Fault{When: fake.Before, Err: volume.ErrNotFound}
		}
		return fake.Fault{}
	})
	d.wantFault(checkup.Failed, "is missing", "--only", "ceph")
	d.ceph.Reset(func(c fake.Call) fake.Fault {
		if c.Port == "Versions" {
			return fake.Fault{When: fake.Before, Err: volume.ErrDenied}
		}
		return fake.Fault{}
	})
	d.wantFault(checkup.Skipped, "denied", "--only", "ceph")
	d.ceph.Reset(nil)
	d.must("tenant", "revoke", "globex")
	d.wantFault(checkup.Warning, "revoked: globex", "--only", "ceph")
	d.must("tenant", "create", "globex")
	d.must("tenant", "delete", "globex")
	d.wantFault(checkup.Failed, "without users: globex", "--only", "ceph")
}

func TestDoctorChangesNothing(t *testing.T) {
	d := newWell(t)
	d.ceph.Reset(nil)
	d.examine("--only", "ceph", "--golden", "acme/resnet50:v1")
	for _, c := range d.ceph.Trace() {
		switch c.Port {
		case "Put", "Remove", "Block", "CreateRecord", "UpdateRecord", "SwapRecord", "MakeNamespace", "RemoveNamespace":
			t.Errorf("doctor called %s", c)
		}
	}
}

func TestDoctorFindsFaultsOfTheMachine(t *testing.T) {
	d := newDesk(t)
	no := errors.New("the kernel has no module rbd")
	d.abilities = func(context.Context) []ability {
		return []ability{{areaImages, "krbd", no}, {areaFiles, "kernel", no}, {areaFiles, "ceph-fuse", nil}}
	}
	d.wantFault(checkup.Failed, "krbd: the kernel has no module rbd", "--only", "node")
}

func TestDoctorLooksAtTheInstallation(t *testing.T) {
	d := newWell(t)
	d.installation = func(ctx context.Context, _ kubernetes.Where, o checkup.Options) ([]checkup.Finding, error) {
		fields, err := o.Fields(ctx, "globex")
		if err != nil || fields["userID"] != "sdp.globex.ro.1" {
			t.Errorf("fields of globex: %d, %v", len(fields), err)
		}
		if fields, err := o.Fields(ctx, "stranger"); err != nil || fields != nil {
			t.Errorf("fields of no tenant: %d, %v", len(fields), err)
		}
		if err := o.Golden(ctx, "", volume.RBD, volume.GoldenRef{Tenant: "acme", Name: "no", Version: "v1"}); !errors.Is(err, volume.ErrNotFound) {
			t.Errorf("golden: %v", err)
		}
		for backend, want := range map[volume.Backend]error{volume.RBD: nil, volume.CephFS: volume.ErrInvalid} {
			if err := o.Golden(ctx, "", backend, volume.GoldenRef{Tenant: "acme", Name: "resnet50", Version: "v1"}); !errors.Is(err, want) {
				t.Errorf("golden in backend %s: %v", backend, err)
			}
		}
		return []checkup.Finding{{Area: areaKubernetes, Check: "c", Level: checkup.Failed, Says: "broken", Fix: "mend"}}, nil
	}
	d.wantFault(checkup.Failed, "broken", "--only", "kubernetes")
	d.installation = func(context.Context, kubernetes.Where, checkup.Options) ([]checkup.Finding, error) {
		return nil, volume.ErrInvalid
	}
	d.wantFault(checkup.Warning, "invalid", "--only", "kubernetes")
}

func TestDoctorRefusesAnUnknownArea(t *testing.T) {
	if _, _, code := newDesk(t).run("doctor", "--only", "moon"); code != exitUsage {
		t.Errorf("code %d", code)
	}
}
