package tenants

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/sdp-csi/sdp-csi/pkg/kubernetes"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// syncCluster makes the tenants that the policy names, those without
// namespaces too, and everybody's rights. One tenant that cannot be made
// keeps no other from it.
func (l *leading) syncCluster(ctx context.Context, id string) error {
	policy := l.Policy()
	pool, err := policy.Pool(id)
	if err != nil {
		return nil // it has gone from the policy
	}
	registrar := l.Registrar(policy)
	var failed []error
	for _, at := range policy.PlacesIn(pool.Cluster(), nil) {
		if err := registrar.Ensure(ctx, at); err != nil && !errors.Is(err, volume.ErrDenied) {
			l.Metrics.failed(at.Tenant())
			failed = append(failed, fmt.Errorf("tenant %s: %w", at.Tenant(), err))
		}
	}
	if _, err := registrar.Sync(ctx, pool); err != nil {
		failed = append(failed, fmt.Errorf("sync the rights in cluster %s: %w", id, err))
	}
	// Also after a failure: the Secrets of those who are well are due.
	l.everyNamespace()
	return errors.Join(failed...)
}

// syncNamespace makes the Secrets of a namespace equal to what its tenant is
// to have, or removes those of a namespace that is gone or has no tenant.
func (l *leading) syncNamespace(ctx context.Context, name string) error {
	n, err := l.namespaces.Get(name)
	switch {
	case apierrors.IsNotFound(err):
		return l.keep(ctx, name, nil)
	case err != nil:
		return kubernetes.Classify(err)
	case leaving(n):
		return nil
	}
	t, err := l.syncTenant(ctx, name)
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil
	}
	if t == "" && err == nil {
		return nil
	}
	if err != nil {
		l.Metrics.failed(t)
		l.events.Event(about(n), corev1.EventTypeWarning, "TenantNotReady", oneLine(err))
		return err
	}
	l.Metrics.synced(t)
	return nil
}

// syncTenant returns the tenant of the namespace; empty where there is none.
func (l *leading) syncTenant(ctx context.Context, namespace string) (string, error) {
	policy := l.Policy()
	var wanted []wanted
	t := ""
	for i, cluster := range policy.Clusters() {
		at, err := policy.Admit(namespace, cluster.ID)
		if errors.Is(err, volume.ErrDenied) || (err == nil && l.isSystems(policy, at, namespace)) {
			return "", l.keep(ctx, namespace, nil)
		}
		if err != nil {
			return "", err
		}
		t = at.Tenant()
		keys, err := l.keys(ctx, policy, at)
		if errors.Is(err, volume.ErrDenied) {
			// It was revoked: what its Secrets hold must not go on working.
			return t, errors.Join(err, l.keep(ctx, namespace, wanted))
		}
		if err != nil {
			return t, err
		}
		wanted = append(wanted, l.wanted(policy, at, namespace, suffix(i, cluster.ID), keys)...)
	}
	for _, w := range wanted {
		if err := l.put(ctx, w); err != nil {
			return t, err
		}
	}
	return t, l.keep(ctx, namespace, wanted)
}

// keys makes the tenant where it is not there as yet. Its goldens' readers are
// made with it.
func (l *leading) keys(ctx context.Context, policy *tenant.Policy, at tenant.Place) (tenant.Keys, error) {
	registrar := l.Registrar(policy)
	if err := registrar.Ensure(ctx, at); err != nil {
		return tenant.Keys{}, err
	}
	return registrar.Keys(ctx, at)
}

// isSystems says whether a namespace would be a tenant by `auto` alone and is
// the cluster's own or the driver's: nobody runs functions there.
func (l *leading) isSystems(p *tenant.Policy, at tenant.Place, namespace string) bool {
	named := slices.ContainsFunc(p.Tenants(), func(t *tenant.Tenant) bool { return t.Name == at.Tenant() })
	return !named && (namespace == l.Namespace || strings.HasPrefix(namespace, "kube-"))
}

// suffix sets apart the Secrets of several clusters: those of the policy's
// first have the plain name.
func suffix(i int, cluster string) string {
	if i == 0 {
		return ""
	}
	return "." + cluster
}

// about names a namespace as what an event is about, so that the event lies
// in that namespace, where its users look.
func about(n *corev1.Namespace) *corev1.ObjectReference {
	return &corev1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Name: n.Name, Namespace: n.Name, UID: n.UID}
}

// oneLine is an error's message as an event shows it.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
