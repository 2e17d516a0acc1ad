package kubernetes

import (
	"fmt"
	"os"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Clients speak to one cluster.
type Clients struct {
	Typed   kubernetes.Interface
	Dynamic dynamic.Interface
	// Namespace is the one that the kubeconfig's context names, or «default».
	Namespace string
}

// Where names a cluster. The zero Where is the kubeconfig that KUBECONFIG or
// the home directory has, or in a pod the cluster that it runs in.
type Where struct {
	Kubeconfig string // a file
	Context    string // of the file; empty: the current one
}

// userAgent is how the API server's logs call this project's programs.
const userAgent = "sdp-csi"

// Connect returns clients. No question is asked of the cluster as yet. It
// wraps volume.ErrInvalid where there is no such cluster in the file.
func Connect(w Where) (*Clients, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = w.Kubeconfig
	file := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: w.Context})
	config, err := file.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("find the Kubernetes cluster (--kubeconfig, KUBECONFIG, or the pod's service account): %w: %w", err, volume.ErrInvalid)
	}
	namespace, _, err := file.Namespace()
	if err != nil {
		return nil, fmt.Errorf("find the kubeconfig's namespace: %w: %w", err, volume.ErrInvalid)
	}
	return connect(config, namespace)
}

func connect(config *rest.Config, namespace string) (*Clients, error) {
	config.UserAgent = userAgent
	typed, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connect to Kubernetes: %w: %w", err, volume.ErrInvalid)
	}
	unstructured, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connect to Kubernetes: %w: %w", err, volume.ErrInvalid)
	}
	return &Clients{Typed: typed, Dynamic: unstructured, Namespace: namespace}, nil
}

// namespaceFile is where a pod finds its own namespace.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// PodNamespace returns the namespace of the pod that this process runs in;
// empty outside of Kubernetes.
func PodNamespace() string {
	name, err := os.ReadFile(namespaceFile)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(name))
}

// Classify wraps what the API server answered with the sentinel that it means.
func Classify(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", err, sentinel(err))
}

func sentinel(err error) error {
	switch {
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
		return volume.ErrNotFound
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return volume.ErrDenied
	case apierrors.IsAlreadyExists(err):
		return volume.ErrExists
	case apierrors.IsConflict(err):
		return volume.ErrPending
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return volume.ErrInvalid
	}
	return volume.ErrUnavailable
}
