package tenants_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"

	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/kubernetes/tenants"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	cephfake "github.com/sdp-csi/sdp-csi/tests/fake"
)

const home = "sdp-csi" // the driver's namespace

const clusters = "clusters: [{id: main, monitors: [\"10.0.0.1:3300\"], pool: rbd}]\n"

const granting = clusters + `tenants:
- {name: acme, namespaces: [acme, "acme-*"], goldens: ["public/*"]}
- {name: globex, namespaces: [globex]}
- {name: public}
`

// rig is a controller on a fake Kubernetes and a fake Ceph.
type rig struct {
	t      *testing.T
	api    *fake.Clientset
	ceph   *cephfake.Ceph
	policy atomic.Pointer[tenant.Policy]
	logs   journal
}

// journal holds what was logged.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func newRig(t *testing.T, policy string, namespaces ...string) *rig {
	t.Helper()
	r := &rig{t: t, api: fake.NewClientset(), ceph: cephfake.NewCeph()}
	r.decree(policy)
	for _, n := range append([]string{home}, namespaces...) {
		r.namespace(n)
	}
	return r
}

// decree puts a policy into force.
func (r *rig) decree(text string) {
	r.t.Helper()
	p, err := tenant.Parse([]byte(text))
	if err != nil {
		r.t.Fatal(err)
	}
	r.policy.Store(p)
}

func (r *rig) namespace(name string) {
	r.t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "1"}}
	if _, err := r.api.CoreV1().Namespaces().Create(r.t.Context(), ns, metav1.CreateOptions{}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) registrar(p *tenant.Policy) *tenant.Registrar {
	return tenant.NewRegistrar(p, r.ceph, golden.NewCatalog(golden.NewLibrary(r.ceph, golden.Options{}), r.ceph), r.ceph)
}

func (r *rig) place(name string) tenant.Place {
	r.t.Helper()
	at, err := r.policy.Load().Default(name, "")
	if err != nil {
		r.t.Fatal(err)
	}
	return at
}

// seal leaves a golden's record, as an import does that may not change users.
func (r *rig) seal(owner, ref string) {
	r.t.Helper()
	g, err := volume.ParseGoldenRef(ref)
	if err != nil {
		r.t.Fatal(err)
	}
	data := fmt.Sprintf(`{"v":1,"state":"ready","golden":%q,"fsType":"erofs","size":4194304,"dataBytes":4096,"digest":"sha256:00","imageID":"1f","snapshotID":4}`, ref)
	if err := r.ceph.CreateRecord(r.t.Context(), r.place(owner), g.Image(), []byte(data)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) options(identity string) tenants.Options {
	return tenants.Options{
		Client: r.api, Namespace: home, Identity: identity, Policy: r.policy.Load,
		Registrar: func(p *tenant.Policy) tenants.Registrar { return r.registrar(p) },
		Inline:    func(_ *tenant.Policy, at tenant.Place) bool { return at.Tenant() == "acme" },
		Metrics:   tenants.NewMetrics(prometheus.NewRegistry()),
	}
}

// start runs a controller and returns how to stop it.
func (r *rig) start(o tenants.Options) (stop func()) { return r.run(tenants.New(o).Run) }

func (r *rig) run(run func(context.Context) error) (stop func()) {
	logger := textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&r.logs), textlogger.Verbosity(5)))
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), logger))
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("Run: %v", err)
		}
	}
}

// bubble runs a test with a clock of its own, and gives what it started the
// time to end.
func bubble(t *testing.T, test func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		test(t)
		time.Sleep(time.Hour)
	})
}

// settle lets all happen that is due within a while.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// secrets lists all Secrets as namespace/name: fields.
func (r *rig) secrets() []string {
	r.t.Helper()
	list, err := r.api.CoreV1().Secrets("").List(context.Background(), metav1.ListOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	var all []string
	for _, s := range list.Items {
		all = append(all, s.Namespace+"/"+s.Name+": "+strings.Join(slices.Sorted(maps.Keys(s.Data)), " "))
	}
	slices.Sort(all)
	return all
}

func (r *rig) want(want ...string) {
	r.t.Helper()
	slices.Sort(want)
	if got := r.secrets(); !slices.Equal(got, want) {
		r.t.Errorf("Secrets:\n %s\nwant:\n %s", strings.Join(got, "\n "), strings.Join(want, "\n "))
	}
}

func (r *rig) secret(namespace, name string) *corev1.Secret {
	r.t.Helper()
	s, err := r.api.CoreV1().Secrets(namespace).Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// events lists the messages of events in a namespace.
func (r *rig) events(namespace string) []string {
	r.t.Helper()
	list, err := r.api.CoreV1().Events(namespace).List(context.Background(), metav1.ListOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	var all []string
	for _, e := range list.Items {
		all = append(all, e.Message)
	}
	return all
}

const (
	node   = "userID userKey writerID writerKey"
	inline = "userID userKey"
)

// wantNoKeyIn looks for the keys of a Secret in texts.
func (r *rig) wantNoKeyIn(fields map[string][]byte, texts []string) {
	r.t.Helper()
	for field, value := range fields {
		_, key, _ := strings.Cut(string(value), ":")
		if strings.HasSuffix(field, "Key") {
			key = string(value)
		}
		for _, text := range texts {
			if key != "" && strings.Contains(text, key) {
				r.t.Errorf("the key of %s is in: %s", field, text)
			}
		}
	}
}
