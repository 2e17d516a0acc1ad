//go:build bench

package coldstart

import (
	"context"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/sdp-csi/sdp-csi/tests/cluster"
)

const (
	// tenant owns the goldens and the functions; its namespace has its name.
	tenant = "acme"
	// linger is short, so that a round can begin without its golden, and long
	// enough that a function can come after another.
	linger = "8s"
)

// stand is the node with the driver in it, and what is measured there.
type stand struct {
	*cluster.Site
	settings  settings
	api       *kubernetes.Clientset
	activator string // of Knative, if that is installed
	details   details
	empty     store // what the node has of images before any function's

	mu      sync.Mutex
	digests map[int64]string // of the answers, by the model's size
}

func newStand(t *testing.T) *stand {
	t.Helper()
	s := &stand{
		Site: cluster.NewSite(t, "- {name: "+tenant+", namespaces: ["+tenant+"]}\n"), settings: readSettings(t),
		activator: os.Getenv("SDP_KNATIVE"), digests: map[int64]string{},
	}
	s.details.Settings = s.settings
	s.Kustomization = `patches:
- target: {kind: DaemonSet, name: sdp-node}
  patch: |-
    - {op: add, path: /spec/template/spec/containers/0/args/-, value: --golden-linger=` + linger + `}
`
	s.api = newAPI(t)
	cluster.Apply(t, cluster.Namespace(tenant))
	s.wire(t, "unshape")
	s.Install(t)
	s.WaitForTenants(t, tenant)
	s.seed(t)
	s.wire(t, "shape", s.settings.Rate)
	s.forget(t, s.settings.images())
	s.empty = s.store(t)
	return s
}

func newAPI(t testing.TB) *kubernetes.Clientset {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	// Many functions are started at once.
	config.QPS, config.Burst = 1000, 1000
	api, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// seed imports both models into both kinds of storage, and makes their classes.
func (s *stand) seed(t *testing.T) {
	t.Helper()
	var goldens []cluster.Golden
	for _, p := range []prepared{s.settings.Model, s.settings.Small} {
		for _, c := range []struct{ name, backend string }{{"model" + p.suffix, "rbd"}, {"model-fs" + p.suffix, "cephfs"}} {
			g := cluster.Golden{Tenant: tenant, Name: c.name + ":v1", Backend: c.backend, File: p.file()}
			goldens = append(goldens, g)
			cluster.Apply(t, cluster.Class(c.name, "Immediate", `backend: `+c.backend+`, prefetch: all, golden: "`+g.Name+`"`))
		}
	}
	s.Seed(t, goldens...)
	s.WaitForKeys(t, tenant, goldens...)
}

// wire runs hack/kube/wire. It does without the test's context, which has ended
// when a test cleans up.
func (s *stand) wire(t testing.TB, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), cluster.Patience)
	defer cancel()
	if _, err := cluster.Run(ctx, "", cluster.Path(t, "hack/kube/wire"), append([]string{s.settings.kubernetes}, args...)...); err != nil {
		t.Fatal(err)
	}
}

// received is how many bytes the wire has brought to the node so far.
func (*stand) received(t testing.TB) int64 {
	t.Helper()
	text, err := os.ReadFile("/sys/class/net/storage0/statistics/rx_bytes")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
