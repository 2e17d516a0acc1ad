package tenants_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/kubernetes/tenants"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

// TestOnRealCeph lets the controller make tenants of a real Ceph: the keys in
// the Secrets open what they are to open.
func TestOnRealCeph(t *testing.T) {
	// Users are Ceph's, not a pool's: other tests must not have the same.
	own := "t" + strings.ToLower(rand.Text()[:8])
	shared := own + "-shared"
	policy := realceph.Policy(t, own+"="+shared+"/*", shared)
	cluster := ceph.NewCluster(ceph.Options{})
	t.Cleanup(cluster.Close)
	r := newRig(t, granting, own)
	r.policy.Store(policy)
	library := golden.NewLibrary(cluster, golden.Options{})
	registrar := func(p *tenant.Policy) tenants.Registrar {
		return tenant.NewRegistrar(p, cluster, golden.NewCatalog(library, cluster), cluster)
	}
	o := r.options("one")
	o.Registrar, o.Poll = registrar, time.Second
	t.Cleanup(func() { removeUsers(t, cluster, r.place(shared), r.place(own)) })
	defer r.start(o)()
	r.await(func() bool { return r.field("sdp-node-"+own, "userKey") != "" })

	model := filepath.Join(t.TempDir(), "model")
	if err := os.WriteFile(model, []byte("weights"), 0o600); err != nil {
		t.Fatal(err)
	}
	ref := volume.GoldenRef{Name: "m", Version: "v1"}
	if _, err := library.Import(t.Context(), r.place(shared), ref, golden.Import{Source: image.Source{Path: model}}); err != nil {
		t.Fatal(err)
	}
	r.await(func() bool { return r.field("sdp-node-"+own, "golden."+shared+".m.v1") != "" })

	reader := ceph.NewReader(ceph.Options{})
	t.Cleanup(reader.Close)
	key := volume.Credentials{User: r.field("sdp-node-"+own, "userID"), Key: volume.Secret(r.field("sdp-node-"+own, "userKey"))}
	if _, err := reader.Read(t.Context(), r.place(own), key, "revocation"); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("the tenant's key in its own place: %v, want volume.ErrNotFound", err)
	}
	r.wantNoKeyIn(r.secret(home, "sdp-node-"+own).Data, []string{r.logs.String()})
}

// await waits for what a real Ceph takes its time for.
func (r *rig) await(done func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !done(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("it did not come about; log:\n%s", r.logs.String())
		}
	}
}

// field returns a field of one of the driver's Secrets; empty without it.
func (r *rig) field(name, field string) string {
	s, err := r.api.CoreV1().Secrets(home).Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		return ""
	}
	return string(s.Data[field])
}

func removeUsers(t *testing.T, cluster *ceph.Cluster, places ...tenant.Place) {
	ctx := context.Background()
	for _, at := range places {
		users, err := cluster.Users(ctx, at)
		if err != nil {
			t.Errorf("users: %v", err)
		}
		for _, u := range users {
			if err := cluster.Remove(ctx, at, u); err != nil {
				t.Errorf("remove %s: %v", u, err)
			}
		}
	}
}
