//go:build bench

package coldstart

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/sdp-csi/sdp-csi/tests/cluster"
)

// retry is how often a function that does not listen yet is tried again.
const retry = 5 * time.Millisecond

// pods is the least that a platform can do: a request makes the function's pod,
// and goes to it once its container runs.
type pods struct {
	api *kubernetes.Clientset

	mu        sync.Mutex
	addresses map[string]string // of what runs, by the functions' names
}

func newPods(s *stand) *pods {
	return &pods{api: s.api, addresses: map[string]string{}}
}

func (*pods) name() string { return "pod" }

func (p *pods) deploy(t *testing.T, functions ...function) {
	t.Helper()
	claims(t, functions...)
	t.Cleanup(func() { p.idle(t, functions...) })
}

func (p *pods) request(t *testing.T, f function) (time.Time, answer, error) {
	pod, err := podOf(f)
	if err != nil {
		return time.Time{}, answer{}, err
	}
	ctx, cancel := context.WithTimeout(t.Context(), requestPatience)
	defer cancel()
	begin := time.Now()
	address := p.address(f.name)
	if address == "" {
		if address, err = p.start(ctx, pod); err != nil {
			return begin, answer{}, fmt.Errorf("start %s: %w", f.name, err)
		}
		p.remember(f.name, address)
	}
	a, err := post(ctx, address, nil)
	for errors.Is(err, errNotListening) && ctx.Err() == nil {
		time.Sleep(retry)
		a, err = post(ctx, address, nil)
	}
	return begin, a, err
}

func (p *pods) address(name string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addresses[name]
}

func (p *pods) remember(name, address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.addresses[name] = address
}

// podOf is a function's pod.
func podOf(f function) (*core.Pod, error) {
	pod := &core.Pod{}
	err := yaml.Unmarshal(fmt.Appendf(nil, `metadata: {namespace: %s, name: %s}
spec:
  enableServiceLinks: false
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
%s`, tenant, f.name, f.spec("  ")), pod)
	if err != nil {
		return nil, fmt.Errorf("the pod of %s: %w", f.name, err)
	}
	return pod, nil
}

// start makes a pod and returns where it listens once it runs.
func (p *pods) start(ctx context.Context, pod *core.Pod) (string, error) {
	api := p.api.CoreV1().Pods(pod.Namespace)
	seen, err := api.Watch(ctx, meta.ListOptions{FieldSelector: "metadata.name=" + pod.Name})
	if err != nil {
		return "", err
	}
	defer seen.Stop()
	if _, err := api.Create(ctx, pod, meta.CreateOptions{}); err != nil {
		return "", err
	}
	for e := range seen.ResultChan() {
		now, ok := e.Object.(*core.Pod)
		if !ok || e.Type == watch.Deleted {
			return "", fmt.Errorf("%s: %v", e.Type, e.Object)
		}
		if len(now.Status.ContainerStatuses) > 0 && now.Status.ContainerStatuses[0].State.Running != nil {
			return "http://" + now.Status.PodIP + ":8080", nil
		}
	}
	return "", context.Cause(ctx)
}

// idle deletes the pods.
func (p *pods) idle(t *testing.T, functions ...function) {
	t.Helper()
	args := []string{"-n", tenant, "delete", "pod", "--ignore-not-found", "--timeout=" + cluster.Patience.String()}
	for _, f := range functions {
		args = append(args, f.name)
		p.remember(f.name, "")
	}
	cluster.Kubectl(t, args...)
}
