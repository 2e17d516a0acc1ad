package tenants_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	core "k8s.io/client-go/testing"
)

func TestNamespacesGetTheirSecrets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, granting, "acme", "globex", "elsewhere")
		defer r.start(r.options("one"))()
		settle(time.Minute)
		r.want("acme/sdp-ro: "+inline, "sdp-csi/sdp-node-acme: "+node, "sdp-csi/sdp-node-globex: "+node)

		r.namespace("acme-batch") // of a pattern
		settle(time.Second)
		r.want("acme-batch/sdp-ro: "+inline, "acme/sdp-ro: "+inline,
			"sdp-csi/sdp-node-acme: "+node, "sdp-csi/sdp-node-acme-batch: "+node, "sdp-csi/sdp-node-globex: "+node)
	})
}

func TestTenantsWithoutNamespacesAreMade(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, granting)
		defer r.start(r.options("one"))()
		settle(time.Minute)
		if _, err := r.registrar(r.policy.Load()).Keys(t.Context(), r.place("public")); err != nil {
			t.Errorf("keys of the tenant public: %v", err)
		}
		r.want()
	})
}

func TestASecretOlderThanAGoldenIsWrittenAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, granting, "acme", "globex")
		defer r.start(r.options("one"))()
		settle(time.Minute)
		r.seal("public", "resnet50:v1")
		settle(2 * time.Minute)
		const key = "golden.public.resnet50.v1 "
		r.want("acme/sdp-ro: "+key+inline, "sdp-csi/sdp-node-acme: "+key+node, "sdp-csi/sdp-node-globex: "+node)
	})
}

func TestAGrantThatIsWithdrawnLeavesTheSecrets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, granting, "acme")
		r.seal("public", "resnet50:v1")
		defer r.start(r.options("one"))()
		settle(2 * time.Minute)
		r.want("acme/sdp-ro: golden.public.resnet50.v1 "+inline, "sdp-csi/sdp-node-acme: golden.public.resnet50.v1 "+node)
		r.decree(strings.Replace(granting, `goldens: ["public/*"]`, "goldens: []", 1))
		settle(2 * time.Minute)
		r.want("acme/sdp-ro: "+inline, "sdp-csi/sdp-node-acme: "+node)
	})
}

func TestARotatedKeyReachesTheSecrets(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, granting, "acme")
		defer r.start(r.options("one"))()
		settle(time.Minute)
		if _, err := r.registrar(r.policy.Load()).Rotate(t.Context(), r.place("acme")); err != nil {
			t.Fatal(err)
		}
		settle(2 * time.Minute)
		if got := string(r.secret(home, "sdp-node-acme").Data["userID"]); got != "sdp.acme.ro.2" {
			t.Errorf("userID = %s after a rotation", got)
		}
	})
}

func TestAnEditByHandIsUndone(t *testing.T) {
	edits := map[string]func(s *corev1.Secret){
		"key":   func(s *corev1.Secret) { s.Data["userKey"] = []byte("stolen") },
		"field": func(s *corev1.Secret) { s.Data["more"] = []byte("x") },
		"label": func(s *corev1.Secret) {
			delete(s.Labels, "app.kubernetes.io/managed-by")
			delete(s.Labels, "sdp.dev/namespace")
		},
	}
	for name, edit := range edits {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t, granting, "globex")
				defer r.start(r.options("one"))()
				settle(time.Minute)
				s := r.secret(home, "sdp-node-globex")
				want := string(s.Data["userKey"])
				edit(s)
				if _, err := r.api.CoreV1().Secrets(home).Update(t.Context(), s, metav1.UpdateOptions{}); err != nil {
					t.Fatal(err)
				}
				settle(11 * time.Minute)
				r.want("sdp-csi/sdp-node-globex: " + node)
				s = r.secret(home, "sdp-node-globex")
				if string(s.Data["userKey"]) != want || s.Labels["sdp.dev/namespace"] != "globex" {
					t.Errorf("after the edit: key is the old one: %v, labels %v", string(s.Data["userKey"]) == want, s.Labels)
				}
			})
		})
	}
}

func TestSecretsGoWithTheirNamespace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, granting, "acme", "globex")
		stop := r.start(r.options("one"))
		settle(time.Minute)
		if err := r.api.CoreV1().Namespaces().Delete(t.Context(), "globex", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		r.want("acme/sdp-ro: "+inline, "sdp-csi/sdp-node-acme: "+node)

		stop() // what goes while nobody looks is found at the next start
		if err := r.api.CoreV1().Namespaces().Delete(t.Context(), "acme", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		defer r.start(r.options("two"))()
		settle(time.Minute)
		r.want("acme/sdp-ro: " + inline) // the API server removes what is in a namespace
	})
}

func TestSecretsGoWithTheirTenant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, granting, "acme", "globex")
		defer r.start(r.options("one"))()
		settle(time.Minute)
		r.decree(strings.Replace(granting, `namespaces: [acme, "acme-*"]`, "namespaces: [other]", 1))
		settle(2 * time.Minute)
		r.want("sdp-csi/sdp-node-globex: " + node)
	})
}

func TestForeignSecretsStay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, granting, "acme", "globex")
		foreign := map[string]*corev1.Secret{
			"of the wanted name": {ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: "sdp-node-globex"}},
			"with our label": {ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: "else",
				Labels: map[string]string{"app.kubernetes.io/managed-by": "sdp-csi-tenants", "sdp.dev/namespace": "gone"}}},
		}
		for _, s := range foreign {
			if _, err := r.api.CoreV1().Secrets(home).Create(t.Context(), s, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		defer r.start(r.options("one"))()
		settle(time.Minute)
		r.want("acme/sdp-ro: "+inline, "sdp-csi/else: ", "sdp-csi/sdp-node-acme: "+node, "sdp-csi/sdp-node-globex: ")
		if e := r.events("globex"); len(e) == 0 || !strings.Contains(e[0], "was not made by sdp-csi") {
			t.Errorf("events of globex: %q", e)
		}
	})
}

func TestARevokedTenantStaysOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, granting, "acme")
		defer r.start(r.options("one"))()
		settle(time.Minute)
		registrar := r.registrar(r.policy.Load())
		if _, err := registrar.Revoke(t.Context(), r.place("acme")); err != nil {
			t.Fatal(err)
		}
		settle(time.Hour)
		r.want()
		if e := r.events("acme"); len(e) == 0 || !strings.Contains(e[0], "sdpctl tenant create acme") {
			t.Errorf("events of acme: %q", e)
		}
		if _, err := registrar.Create(t.Context(), r.place("acme")); err != nil {
			t.Fatal(err)
		}
		settle(10 * time.Minute)
		r.want("acme/sdp-ro: "+inline, "sdp-csi/sdp-node-acme: "+node)
	})
}

func TestAutoSparesTheSystemsNamespaces(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, clusters+"auto: true\n", "kube-system", "team")
		defer r.start(r.options("one"))()
		settle(time.Minute)
		r.want("sdp-csi/sdp-node-team: " + node)
	})
}

func TestSeveralClustersHaveSecretsEach(t *testing.T) {
	bubble(t, func(t *testing.T) {
		policy := strings.Replace(granting, `pool: rbd}]`, `pool: rbd}, {id: cold, monitors: ["10.0.0.2:3300"], pool: rbd}]`, 1)
		r := newRig(t, policy, "acme")
		defer r.start(r.options("one"))()
		settle(time.Minute)
		r.want("acme/sdp-ro: "+inline, "acme/sdp-ro.cold: "+inline, "sdp-csi/sdp-node-acme: "+node, "sdp-csi/sdp-node-acme.cold: "+node)
	})
}

// The roles of deploy/kubernetes name the first cluster's sdp-ro alone.
func TestASecretThatMustNotBeReadIsNoFault(t *testing.T) {
	bubble(t, func(t *testing.T) {
		policy := strings.Replace(granting, `pool: rbd}]`, `pool: rbd}, {id: cold, monitors: ["10.0.0.2:3300"], pool: rbd}]`, 1)
		r := newRig(t, policy, "globex")
		r.api.PrependReactor("get", "secrets", func(a core.Action) (bool, runtime.Object, error) {
			name := a.(core.GetAction).GetName()
			return name == "sdp-ro.cold", nil, apierrors.NewForbidden(corev1.Resource("secrets"), name, nil)
		})
		defer r.start(r.options("one"))()
		settle(time.Minute)
		r.want("sdp-csi/sdp-node-globex: "+node, "sdp-csi/sdp-node-globex.cold: "+node)
		if e := r.events("globex"); len(e) > 0 {
			t.Errorf("events of globex: %q", e)
		}
	})
}

func TestWhatMayNotBeMadeIsToldWithARemedy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, granting, "acme")
		r.api.PrependReactor("create", "secrets", func(a core.Action) (bool, runtime.Object, error) {
			return a.GetNamespace() == "acme", nil, apierrors.NewForbidden(corev1.Resource("secrets"), "sdp-ro", nil)
		})
		defer r.start(r.options("one"))()
		settle(time.Minute)
		r.want("sdp-csi/sdp-node-acme: " + node)
		if e := r.events("acme"); len(e) == 0 || !strings.Contains(e[0], "bind the ClusterRole sdp-csi-tenants-inline") {
			t.Errorf("events of acme: %q", e)
		}
	})
}
