package tenants_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	core "k8s.io/client-go/testing"

	"github.com/sdp-csi/sdp-csi/pkg/kubernetes/tenants"
	cephfake "github.com/sdp-csi/sdp-csi/tests/fake"
)

// settled is what there is of the tenant acme when all went well.
func (r *rig) wantSettled() {
	r.t.Helper()
	r.want("acme/sdp-ro: golden.public.m.v1 "+inline, "sdp-csi/sdp-node-acme: golden.public.m.v1 "+node)
	r.ceph.Reset(nil)
	users, err := r.ceph.Users(r.t.Context(), r.place("acme"))
	if err != nil || len(users) != 7 { // two of each tenant, and the golden's reader
		r.t.Errorf("users: %v, %v", users, err)
	}
}

// TestACrashAtEveryStepIsMended kills the controller at its n-th call to Ceph,
// before or after that took effect. The next one finishes what it began.
func TestACrashAtEveryStepIsMended(t *testing.T) {
	calls := 0
	bubble(t, func(t *testing.T) {
		r := newRig(t, granting, "acme")
		r.seal("public", "m:v1")
		r.ceph.Reset(nil)
		stop := r.run(tenants.New(r.options("one")).Lead)
		settle(3 * time.Second) // before the second look at Ceph
		calls = len(r.ceph.Trace())
		stop()
		r.wantSettled()
	})
	if calls < 20 {
		t.Fatalf("only %d calls", calls)
	}
	for n := 1; n <= calls; n++ {
		for when, name := range map[cephfake.When]string{cephfake.Before: "before", cephfake.After: "after"} {
			t.Run(fmt.Sprintf("%d %s", n, name), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					r := newRig(t, granting, "acme")
					r.seal("public", "m:v1")
					r.ceph.Reset(cephfake.At(n, cephfake.Fault{When: when, Crash: true}))
					stop := r.run(tenants.New(r.options("one")).Lead)
					settle(3 * time.Second)
					stop()
					r.ceph.Restart()
					defer r.run(tenants.New(r.options("two")).Lead)()
					settle(time.Minute)
					r.wantSettled()
				})
			})
		}
	}
}

// TestAWriteThatFailsIsRepeated fails the n-th write of a Secret, before or
// after it took effect.
func TestAWriteThatFailsIsRepeated(t *testing.T) {
	for n := int64(1); n <= 4; n++ {
		for _, effect := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d %t", n, effect), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					r := newRig(t, granting, "acme")
					var writes atomic.Int64
					r.api.PrependReactor("*", "secrets", func(a core.Action) (bool, runtime.Object, error) {
						if v := a.GetVerb(); v == "get" || v == "list" || v == "watch" || writes.Add(1) != n {
							return false, nil, nil
						}
						if effect {
							_, _, _ = core.ObjectReaction(r.api.Tracker())(a)
						}
						return true, nil, errors.New("the API server went away")
					})
					defer r.start(r.options("one"))()
					settle(time.Minute)
					r.seal("public", "m:v1")
					settle(5 * time.Minute)
					r.wantSettled()
				})
			})
		}
	}
}

func TestTwoThatLeadAtOnceDoNoHarm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, granting, "acme")
		for _, id := range []string{"one", "two"} {
			defer r.run(tenants.New(r.options(id)).Lead)()
		}
		settle(time.Minute)
		r.seal("public", "m:v1")
		settle(5 * time.Minute)
		r.wantSettled()
		if err := r.api.CoreV1().Namespaces().Delete(t.Context(), "acme", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		settle(time.Minute)
		r.want("acme/sdp-ro: golden.public.m.v1 " + inline)
	})
}

func TestAnotherReplicaTakesOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, granting)
		stop := r.start(r.options("one"))
		settle(time.Minute)
		defer r.start(r.options("two"))()
		settle(time.Minute)
		lease, err := r.api.CoordinationV1().Leases(home).Get(t.Context(), "sdp-csi-tenants", metav1.GetOptions{})
		if err != nil || *lease.Spec.HolderIdentity != "one" {
			t.Fatalf("lease %v, %v", lease, err)
		}
		stop()
		r.namespace("globex")
		settle(2 * time.Minute)
		r.want("sdp-csi/sdp-node-globex: " + node)
	})
}

func TestANamespaceDeletedMeanwhileKeepsNoSecret(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, granting, "globex")
		gone := false
		r.ceph.Reset(func(c cephfake.Call) cephfake.Fault {
			if c.Port == "Key" && !gone {
				gone = true
				if err := r.api.CoreV1().Namespaces().Delete(context.Background(), "globex", metav1.DeleteOptions{}); err != nil {
					t.Error(err)
				}
			}
			return cephfake.Fault{}
		})
		defer r.start(r.options("one"))()
		settle(time.Minute)
		if !gone {
			t.Fatal("no key was asked for")
		}
		r.want()
	})
}

// TestKeysAreInSecretsOnly looks for keys in logs and events, of a controller
// that meets errors too.
func TestKeysAreInSecretsOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, granting, "acme", "globex")
		r.seal("public", "m:v1")
		refused := 0
		r.api.PrependReactor("create", "secrets", func(a core.Action) (bool, runtime.Object, error) {
			refused++
			return refused <= 3, nil, errors.New("the API server went away")
		})
		defer r.start(r.options("one"))()
		settle(20 * time.Minute)
		r.wantKeysOnlyIn("acme")
	})
}

func (r *rig) wantKeysOnlyIn(namespaces ...string) {
	r.t.Helper()
	texts := []string{r.logs.String()}
	for _, n := range namespaces {
		texts = append(texts, r.events(n)...)
	}
	if len(texts) < 2 || texts[0] == "" {
		r.t.Fatalf("nothing was logged, or no event: %q", texts)
	}
	r.wantNoKeyIn(r.secret(home, "sdp-node-acme").Data, texts)
}
