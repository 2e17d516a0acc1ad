package function

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/sdp-csi/sdp-csi/pkg/kubernetes"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Live are the functions of a cluster.
type Live struct {
	client    dynamic.Interface
	namespace string
}

// NewLive returns the functions of one namespace; empty: the clients' own.
func NewLive(c *kubernetes.Clients, namespace string) *Live {
	if namespace == "" {
		namespace = c.Namespace
	}
	return &Live{client: c.Dynamic, namespace: namespace}
}

// Namespace returns the namespace's name.
func (l *Live) Namespace() string { return l.namespace }

// Read returns an object. One that is not there wraps volume.ErrNotFound.
func (l *Live) Read(ctx context.Context, w Which) (*Manifest, error) {
	k, err := liveKind(w.Kind)
	if err != nil {
		return nil, err
	}
	object, err := l.client.Resource(k.resource).Namespace(l.namespace).Get(ctx, w.Name, metav1.GetOptions{})
	if err != nil {
		return nil, l.about("read", w, err)
	}
	return manifestOf(object)
}

// writer is how the API server calls what this program has written.
const writer = "sdpctl"

// Change applies change to an object and writes it back, unless it is as
// before. It replaces the very version that was read, and begins again when
// somebody else was faster: a patch would do as well for Kubernetes' own kinds,
// but the lists of others, Knative's too, can be replaced as a whole only.
func (l *Live) Change(ctx context.Context, w Which, change func(*Manifest) error) error {
	k, err := liveKind(w.Kind)
	if err != nil {
		return err
	}
	objects := l.client.Resource(k.resource).Namespace(l.namespace)
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		object, err := objects.Get(ctx, w.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		next, err := applied(object, change)
		if err != nil || next == nil {
			return err
		}
		_, err = objects.Update(ctx, next, metav1.UpdateOptions{FieldManager: writer})
		return err
	})
	if isAnswer(err) {
		return l.about("change", w, err)
	}
	return err
}

// isAnswer tells the API server's errors from a change's own.
func isAnswer(err error) bool {
	return err != nil && apierrors.ReasonForError(err) != metav1.StatusReasonUnknown
}

// applied returns the changed object; nil where it is as before.
func applied(object *unstructured.Unstructured, change func(*Manifest) error) (*unstructured.Unstructured, error) {
	m, err := manifestOf(object)
	if err != nil {
		return nil, err
	}
	if err := change(m); err != nil {
		return nil, err
	}
	data, err := m.node.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("write the object: %w", err)
	}
	next := &unstructured.Unstructured{}
	if err := next.UnmarshalJSON(data); err != nil {
		return nil, fmt.Errorf("write the object: %w", err)
	}
	if equality.Semantic.DeepEqual(object.Object, next.Object) {
		return nil, nil
	}
	return next, nil
}

func manifestOf(object *unstructured.Unstructured) (*Manifest, error) {
	data, err := object.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("read the object: %w", err)
	}
	node, err := yaml.ConvertJSONToYamlNode(string(data))
	if err != nil {
		return nil, fmt.Errorf("read the object: %w: %w", err, volume.ErrInvalid)
	}
	return &Manifest{node: node}, nil
}

// Claim makes a claim, unless there is one of its name.
func (l *Live) Claim(ctx context.Context, c Claim) error {
	text, err := c.Manifest()
	if err != nil {
		return err
	}
	node, err := yaml.Parse(text)
	if err != nil {
		return err
	}
	data, err := node.MarshalJSON()
	if err != nil {
		return err
	}
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(data); err != nil {
		return err
	}
	claims := schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}
	_, err = l.client.Resource(claims).Namespace(l.namespace).Create(ctx, object, metav1.CreateOptions{FieldManager: writer})
	if err == nil || apierrors.IsAlreadyExists(err) {
		return nil
	}
	return l.about("make", Which{Kind: "persistentvolumeclaim", Name: c.Name}, err)
}

func (l *Live) about(doing string, w Which, err error) error {
	return fmt.Errorf("%s %s %s in namespace %s: %w", doing, w.Kind, w.Name, l.namespace, kubernetes.Classify(err))
}
