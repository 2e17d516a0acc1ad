package tenants

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/sdp-csi/sdp-csi/pkg/kubernetes"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The names of the Secrets.
const (
	// NodePrefix and a namespace name the Secret with which nodes stage that
	// namespace's volumes. It lies in the driver's namespace.
	NodePrefix = "sdp-node-"
	// InlineName is the Secret for inline volumes in a tenant's namespace.
	InlineName = "sdp-ro"
)

// The labels of the Secrets. LabelTenant and the part are what `sdpctl tenant
// secret` writes too.
const (
	labelPart      = "app.kubernetes.io/part-of"
	labelBy        = "app.kubernetes.io/managed-by"
	labelNamespace = "sdp.dev/namespace"
	labelTenant    = "sdp.dev/tenant"

	part = "sdp-csi"
	by   = "sdp-csi-tenants"
)

// ownSelector selects what this controller wrote.
func ownSelector() labels.Selector { return labels.SelectorFromSet(labels.Set{labelBy: by}) }

// wanted is a Secret as it is to be.
type wanted struct {
	namespace, name string
	labels          map[string]string
	data            map[string][]byte
}

// wanted are the Secrets of one namespace in one cluster.
func (l *leading) wanted(p *tenant.Policy, at tenant.Place, namespace, suffix string, keys tenant.Keys) []wanted {
	marks := map[string]string{labelPart: part, labelBy: by, labelNamespace: namespace, labelTenant: at.Tenant()}
	all := []wanted{{namespace: l.Namespace, name: NodePrefix + namespace + suffix, labels: marks, data: bytesOf(keys.Fields())}}
	if l.Inline != nil && l.Inline(p, at) {
		all = append(all, wanted{namespace: namespace, name: InlineName + suffix, labels: marks, data: bytesOf(keys.ReadOnly().Fields())})
	}
	return all
}

func bytesOf(fields map[string]string) map[string][]byte {
	data := make(map[string][]byte, len(fields))
	for k, v := range fields {
		data[k] = []byte(v)
	}
	return data
}

// put makes a Secret, or makes the one that is there equal to what is wanted.
// Somebody else's Secret of that name stays, and wraps volume.ErrConflict.
func (l *leading) put(ctx context.Context, w wanted) error {
	secrets := l.Client.CoreV1().Secrets(w.namespace)
	old, err := secrets.Get(ctx, w.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = secrets.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: w.name, Labels: w.labels},
			Type:       corev1.SecretTypeOpaque, Data: w.data,
		}, metav1.CreateOptions{})
		return w.tell("make", err)
	}
	if err != nil {
		return w.tell("read", err)
	}
	if old.Labels[labelPart] != part {
		return fmt.Errorf("the Secret %s/%s is there and was not made by sdp-csi: rename or delete it: %w", w.namespace, w.name, volume.ErrConflict)
	}
	if w.is(old) {
		return nil
	}
	next := old.DeepCopy()
	next.Data = w.data
	if next.Labels == nil {
		next.Labels = map[string]string{}
	}
	maps.Copy(next.Labels, w.labels)
	_, err = secrets.Update(ctx, next, metav1.UpdateOptions{})
	return w.tell("update", err)
}

// is says whether the Secret has what is wanted. Labels and annotations of
// others stay.
func (w wanted) is(s *corev1.Secret) bool {
	for k, v := range w.labels {
		if s.Labels[k] != v {
			return false
		}
	}
	return maps.EqualFunc(s.Data, w.data, slices.Equal)
}

// tell says what was done to which Secret. The API server's errors name fields
// and no values.
func (w wanted) tell(doing string, err error) error {
	if err == nil {
		return nil
	}
	hint := ""
	if apierrors.IsForbidden(err) && strings.HasPrefix(w.name, InlineName) {
		hint = "for inline volumes bind the ClusterRole sdp-csi-tenants-inline in this namespace, or take «inline» from the tenant in the policy file: "
	}
	return fmt.Errorf("%s Secret %s/%s: %s%w", doing, w.namespace, w.name, hint, kubernetes.Classify(err))
}

// keep removes the Secrets that this controller made for a namespace, but the
// wanted ones.
func (l *leading) keep(ctx context.Context, namespace string, all []wanted) error {
	kept := map[string]bool{}
	for _, w := range all {
		kept[w.namespace+"/"+w.name] = true
	}
	own, err := l.secrets.Secrets(l.Namespace).List(labels.SelectorFromSet(labels.Set{labelBy: by, labelNamespace: namespace}))
	if err != nil {
		return kubernetes.Classify(err)
	}
	for _, s := range own {
		if !kept[s.Namespace+"/"+s.Name] && isNodes(s.Name, namespace) {
			if err := l.remove(ctx, s); err != nil {
				return err
			}
		}
	}
	return l.keepInline(ctx, namespace, kept)
}

// isNodes says whether a Secret's name is one that this controller gives: a
// label alone must not have it remove what somebody else made.
func isNodes(name, namespace string) bool {
	rest, ok := strings.CutPrefix(name, NodePrefix+namespace)
	return ok && (rest == "" || rest[0] == '.')
}

// keepInline removes the Secrets in the tenant's namespace that are no more to
// be. They are read by name: it takes no right to list Secrets there. One that
// must not be read was never made: put reads before it makes.
func (l *leading) keepInline(ctx context.Context, namespace string, kept map[string]bool) error {
	if _, err := l.namespaces.Get(namespace); err != nil {
		return nil // they went with it
	}
	for i, cluster := range l.Policy().Clusters() {
		name := InlineName + suffix(i, cluster.ID)
		if kept[namespace+"/"+name] {
			continue
		}
		s, err := l.Client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || (err == nil && s.Labels[labelBy] != by) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read Secret %s/%s: %w", namespace, name, kubernetes.Classify(err))
		}
		if err := l.remove(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// remove removes the very Secret that was looked at.
func (l *leading) remove(ctx context.Context, s *corev1.Secret) error {
	err := l.Client.CoreV1().Secrets(s.Namespace).Delete(ctx, s.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &s.UID, ResourceVersion: &s.ResourceVersion},
	})
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("remove Secret %s/%s: %w", s.Namespace, s.Name, kubernetes.Classify(err))
}
