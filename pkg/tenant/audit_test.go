package tenant_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
)

func TestAuditTellsWhatSyncWouldChange(t *testing.T) {
	o := newOffice(t)
	o.shelf.put("public/resnet50:v1")
	r, place := o.under(granting)
	o.create(r, place("acme"), place("globex"), place("public"))
	o.sync(r, place("acme"))
	audit := func(r *tenant.Registrar) []string {
		t.Helper()
		before := o.rights(place("acme"))
		found, err := r.Audit(t.Context(), place("acme"), o.ceph)
		if err != nil {
			t.Fatal(err)
		}
		if after := o.rights(place("acme")); !slices.Equal(before, after) {
			t.Errorf("the audit changed the users' rights: %q", after)
		}
		slices.Sort(found)
		return found
	}
	if found := audit(r); len(found) > 0 {
		t.Errorf("after a sync: %q", found)
	}
	o.shelf.put("public/base:v1")
	if found := audit(r); !slices.Contains(found, "user sdp.golden.public.base.v1.1 is missing") || !slices.Contains(found, "user sdp.globex.ro.1 may do other than the policy says") {
		t.Errorf("with a golden that nobody was told of: %q", found)
	}
	withdrawn, _ := o.under(strings.Replace(granting, `goldens: ["public/*"]`, "goldens: []", 1))
	if found := audit(withdrawn); !slices.ContainsFunc(found, func(s string) bool { return strings.Contains(s, "was withdrawn") }) {
		t.Errorf("with a grant that was withdrawn: %q", found)
	}
	o.shelf.goldens["public"] = nil
	if found := audit(r); !slices.Contains(found, "user sdp.golden.public.resnet50.v1.1 is of a golden that is gone") {
		t.Errorf("with a golden that is gone: %q", found)
	}
}

func TestARevokedTenantIsNotEnsured(t *testing.T) {
	o := newOffice(t)
	r, place := o.under(granting)
	at := place("acme")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(r.Ensure(t.Context(), at))
	must(r.Ensure(t.Context(), at))
	_, err := r.Revoke(t.Context(), at)
	must(err)
	if err := r.Ensure(t.Context(), at); err == nil || !strings.Contains(err.Error(), "sdpctl tenant create acme") {
		t.Errorf("Ensure of a revoked tenant: %v", err)
	}
	o.wantRights(at)
	o.create(r, at)
	must(r.Ensure(t.Context(), at))
}
