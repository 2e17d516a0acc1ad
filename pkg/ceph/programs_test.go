package ceph

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

func TestWhatDoctorAsks(t *testing.T) {
	name := "t" + strings.ToLower(rand.Text()[:10]) // users are Ceph's, not a pool's
	policy := realceph.Policy(t, name)
	at, err := policy.Default(name, "")
	if err != nil {
		t.Fatal(err)
	}
	c := NewCluster(Options{})
	t.Cleanup(c.Close)
	all, err := c.Versions(t.Context(), at)
	if err != nil || len(all["mon"]) != 1 || len(all["osd"]) != 1 || len(all["overall"]) > 0 {
		t.Errorf("Versions = %v, %v", all, err)
	}
	if caps, err := c.UserCaps(t.Context(), at, "admin"); err != nil || caps["mon"] != "allow *" || caps["mgr"] != "allow *" {
		t.Errorf("UserCaps of admin = %q, %v", caps, err)
	}
	if _, err := c.UserCaps(t.Context(), at, "nobody-of-this-name"); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("UserCaps of nobody: %v", err)
	}
	u := tenant.User{Tenant: name, Role: tenant.Reader, Generation: 1}
	access := tenant.Access{At: at, Role: tenant.Reader}
	if _, err := c.Matches(t.Context(), u, access); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("Matches without the user: %v", err)
	}
	if err := c.Put(t.Context(), u, access); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { realceph.New(t).Admin("auth", "rm", "client."+u.String()) })
	same, err := c.Matches(t.Context(), u, access)
	access.Role = tenant.Writer
	other, err2 := c.Matches(t.Context(), u, access)
	if err != nil || err2 != nil || !same || other {
		t.Errorf("Matches = %t, %v; with another role %t, %v", same, err, other, err2)
	}
}
