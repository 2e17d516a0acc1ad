package tenants

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// TestRevocationOnANode revokes A while functions of A and B run on real
// mounts, then shuts out the golden's reader: what each sees is what
// docs/reference/security.md says.
func TestRevocationOnANode(t *testing.T) {
	s := newScene(t)
	s.shares = "\"" + s.public + "/" + granted + "\""
	s.under(s.public + "/" + granted)
	v1 := s.seed(s.public, granted)
	n := newNode(s)
	ctx := t.Context()
	golden := s.public + "/" + granted
	shared, own := n.pod(s.a, "shared", golden).start(), n.pod(s.a, "own", golden, "share", "clone").start()
	written, again := n.pod(s.a, "written", "").start(), n.pod(s.a, "later", golden)
	others, othersOwn := n.pod(s.b, "shared", golden).start(), n.pod(s.b, "own", golden, "share", "clone").start()
	if got := len(n.exporters(t)); got != 4 {
		t.Errorf("%d devices, want one for the golden and three of volumes' own", got)
	}
	for _, p := range []*pod{shared, own, others, othersOwn} {
		must(t, p.reads("model"))
	}
	must(t, written.writes("file"))

	s.readmitLater(s.a)
	_, err := s.registrar().Revoke(ctx, s.place(s.a))
	must(t, err)
	eventually(t, "A's own devices answer nothing", func() bool { return own.reads("model") != nil && written.writes("more") != nil })
	for _, p := range []*pod{shared, others, othersOwn} {
		must(t, p.reads("model"))
	}
	eventually(t, "A's new stages are refused", func() bool { return codeOf(again.stage(ctx)) == codes.PermissionDenied })
	if err := n.pod(s.b, "later", golden).start().reads("model"); err != nil {
		t.Errorf("B's new function: %v", err)
	}
	for _, p := range []*pod{own, written} {
		p.end()
	}
	must(t, shared.reads("model"))

	// Whoever has the golden's key is not A: shutting it out ends the rest.
	s.shutOut(tenant.User{Tenant: s.public, Golden: volume.GoldenRef{Name: v1.Name, Version: v1.Version}, Generation: 1})
	eventually(t, "the golden's device answers nothing", func() bool { return others.reads("model") != nil && shared.reads("model") != nil })
	must(t, othersOwn.reads("model"))
}

// TestOwnersOldSecret has a golden's owner stage it first, with a Secret from
// before the golden was made: that mapping is the owner's, so B gets another
// one, and goes on when the owner is cut off.
func TestOwnersOldSecret(t *testing.T) {
	s := newScene(t)
	s.shares = "\"" + s.public + "/" + granted + "\""
	s.under()
	s.seed(s.public, granted)
	n := newNode(s)
	golden := s.public + "/" + granted
	owner := n.pod(s.public, "owner", golden)
	maps.DeleteFunc(owner.secrets, func(field, _ string) bool { return strings.HasPrefix(field, "golden.") })
	owner.start()
	sharer := n.pod(s.b, "sharer", golden).start()
	again := n.pod(s.public, "again", golden)
	again.secrets = owner.secrets
	again.start()
	if got := len(n.exporters(t)); got != 2 {
		t.Errorf("%d devices, want the owner's and the golden's", got)
	}
	for _, p := range []*pod{owner, sharer, again} {
		must(t, p.reads("model"))
	}
	s.readmitLater(s.public)
	_, err := s.registrar().Revoke(t.Context(), s.place(s.public))
	must(t, err)
	eventually(t, "the owner's own device answers nothing", func() bool { return owner.reads("model") != nil })
	must(t, sharer.reads("model"))
}

// shutOut blocklists the clients of a user until the test ends.
func (s *scene) shutOut(u tenant.User) {
	s.t.Helper()
	clients, err := s.cluster.Connected(s.t.Context(), s.place(s.a))
	must(s.t, err)
	if len(clients[u]) == 0 {
		s.t.Fatalf("nobody is connected as %s", u)
	}
	must(s.t, s.cluster.Block(s.t.Context(), s.place(s.a), slices.Clone(clients[u])))
	for _, address := range clients[u] {
		s.t.Cleanup(func() { s.ceph.Admin("osd", "blocklist", "rm", address) })
	}
}
