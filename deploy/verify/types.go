package verify

import (
	"fmt"

	snapshot "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	admissionregistration "k8s.io/api/admissionregistration/v1"
	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	storage "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

// Types decodes objects strictly: an unknown or doubled field is an error.
type Types struct {
	scheme  *runtime.Scheme
	decoder runtime.Decoder
}

// NewTypes knows Kubernetes' own types, and those of its snapshots and of the
// Prometheus operator.
func NewTypes() (Types, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		admissionregistration.AddToScheme, apps.AddToScheme, batch.AddToScheme, core.AddToScheme, networking.AddToScheme, policy.AddToScheme,
		rbac.AddToScheme, storage.AddToScheme, snapshot.AddToScheme, monitoring.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return Types{}, err
		}
	}
	return Types{scheme, serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()}, nil
}

// Decode returns the object as its type.
func (t Types) Decode(o Object) (runtime.Object, error) {
	text, err := o.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Key(), err)
	}
	typed, _, err := t.decoder.Decode(text, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.Key(), err)
	}
	return typed, nil
}

// Knows says whether the object's type is one of those.
func (t Types) Knows(o Object) bool { return t.scheme.Recognizes(o.GroupVersionKind()) }
