package tenant

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Policy answers who may do what where. It does not change; a new file makes
// a new Policy. Safe for concurrent use.
type Policy struct {
	file     file
	clusters map[string]*Cluster
	tenants  map[string]*Tenant
	line     int // of the clusters in the file
}

// Admit returns the place where the namespace's volumes go. cluster may be
// empty when the policy has one cluster only. It wraps ErrInvalid for a
// missing namespace or unknown cluster, ErrDenied for a namespace without a
// tenant.
func (p *Policy) Admit(namespace, cluster string) (Place, error) {
	if namespace == "" {
		return Place{}, fmt.Errorf("the request names no namespace: run the external-provisioner with --extra-create-metadata, "+
			"or the driver with --default-tenant: %w", volume.ErrInvalid)
	}
	t, err := p.tenantOf(namespace)
	if err != nil {
		return Place{}, err
	}
	return p.place(cluster, t)
}

// Default returns the place of a tenant that the admin chose for requests
// without a namespace.
func (p *Policy) Default(tenant, cluster string) (Place, error) {
	if !p.knows(tenant) {
		return Place{}, unknownTenant(tenant)
	}
	return p.place(cluster, tenant)
}

// Pool returns a place of no tenant, to ask for a pool's free space.
func (p *Policy) Pool(cluster string) (Place, error) { return p.place(cluster, "") }

// Open returns the place that an ID names. An ID of a cluster or tenant which
// the policy does not have wraps ErrNotFound.
func (p *Policy) Open(id volume.ID) (Place, error) {
	c, ok := p.clusters[id.Cluster]
	if !ok || !p.knows(id.Tenant) {
		return Place{}, fmt.Errorf("%s: cluster %s with tenant %s is not in the policy: %w", id, id.Cluster, id.Tenant, volume.ErrNotFound)
	}
	return Place{cluster: c, tenant: id.Tenant, limits: p.TenantLimits(id.Tenant)}, nil
}

// Release returns the place of an ID for giving something up: deleting,
// unstaging. It needs the cluster only, so that what a tenant left behind can
// be removed after the tenant has gone from the policy. An unknown cluster
// wraps ErrInUse: its row must come back before its volumes can go.
func (p *Policy) Release(id volume.ID) (Place, error) {
	c, ok := p.clusters[id.Cluster]
	if !ok {
		return Place{}, fmt.Errorf("%s: cluster %s is not in the policy any more: restore its row: %w", id, id.Cluster, volume.ErrInUse)
	}
	return Place{cluster: c, tenant: id.Tenant}, nil
}

// Golden returns the place of the golden that ref names for the tenant of p:
// its own, or one that the policy grants. Without a grant it wraps ErrDenied
// whether the golden exists or not.
func (p *Policy) Golden(at Place, ref volume.GoldenRef) (Place, error) {
	if ref.Tenant == "" || ref.Tenant == at.tenant {
		return at, nil
	}
	if !p.grants(at.tenant, ref) || !p.knows(ref.Tenant) {
		return Place{}, fmt.Errorf("tenant %s may not use golden %s: grant it in the policy file, under «goldens» of that tenant: %w", at.tenant, ref, volume.ErrDenied)
	}
	return Place{cluster: at.cluster, tenant: ref.Tenant}, nil
}

// Source returns the place of a volume or snapshot that the tenant of p
// wants to copy: only its own, in the same cluster. It wraps ErrDenied.
func (p *Policy) Source(at Place, id volume.ID) (Place, error) {
	if id.Tenant != at.tenant {
		return Place{}, fmt.Errorf("tenant %s may not use %s, which is another tenant's: name a source of the claim's own tenant: %w", at.tenant, id, volume.ErrDenied)
	}
	if id.Cluster != at.cluster.ID {
		return Place{}, fmt.Errorf("%s is in cluster %s, the new volume in %s: use a class of the source's cluster: %w", id, id.Cluster, at.cluster.ID, volume.ErrInvalid)
	}
	return at, nil
}

// CheckPod says whether a pod of the namespace may use the volume. An empty
// namespace passes: kubelet sends it only where the CSIDriver object asks.
func (p *Policy) CheckPod(id volume.ID, namespace string) error {
	if namespace == "" {
		return nil
	}
	t, err := p.tenantOf(namespace)
	if err != nil {
		return err
	}
	if t != id.Tenant {
		return fmt.Errorf("a pod of namespace %s (tenant %s) may not use a volume of tenant %s: make a claim in a namespace of the pod's own tenant: %w", namespace, t, id.Tenant, volume.ErrDenied)
	}
	return nil
}

// Places returns every place: cluster by cluster, tenants in the policy's
// order. Tenants that exist by `auto` alone are not in it.
func (p *Policy) Places() []Place {
	var all []Place
	for _, c := range p.file.Clusters {
		all = append(all, p.PlacesIn(c, nil)...)
	}
	return all
}

// PlacesIn returns the places of a cluster: tenants in the policy's order and,
// with `auto`, behind them those of the found names which `auto` alone makes
// tenants, in order. found are the namespaces that the cluster has.
func (p *Policy) PlacesIn(c *Cluster, found []string) []Place {
	var all []Place
	for _, t := range p.file.Tenants {
		all = append(all, Place{cluster: c, tenant: t.Name})
	}
	for _, name := range slices.Sorted(slices.Values(found)) {
		if p.tenants[name] == nil && p.knows(name) {
			all = append(all, Place{cluster: c, tenant: name})
		}
	}
	return all
}

// TenantLimits returns what a tenant may have: its own limits, or the
// defaults.
func (p *Policy) TenantLimits(tenant string) Limits {
	if t := p.tenants[tenant]; t != nil && t.Limits != nil {
		return *t.Limits
	}
	return p.file.Defaults.Limits
}

// Row returns the policy's row of the tenant of p, or for one by `auto` what
// its row would be. It must not be changed.
func (p *Policy) Row(at Place) *Tenant {
	if t := p.tenants[at.tenant]; t != nil {
		return t
	}
	row := &Tenant{Name: at.tenant, ReadOnlyNodes: p.file.Defaults.ReadOnlyNodes, Inline: p.file.Defaults.Inline}
	if p.file.Auto && autoTenant(at.tenant) == at.tenant {
		row.Namespaces = []string{at.tenant}
	}
	return row
}

// ReadOnlyNodes says whether the nodes of the tenant of p get no writing key.
func (p *Policy) ReadOnlyNodes(at Place) bool {
	return p.Row(at).ReadOnlyNodes
}

// Inline says whether pods of the tenant of p may have inline volumes.
func (p *Policy) Inline(at Place) bool {
	return p.Row(at).Inline
}

// Auto says whether namespaces that no tenant names are tenants.
func (p *Policy) Auto() bool { return p.file.Auto }

// Clusters returns the clusters in the policy's order.
func (p *Policy) Clusters() []*Cluster { return p.file.Clusters }

// Tenants returns the tenants in the policy's order.
func (p *Policy) Tenants() []*Tenant { return p.file.Tenants }

func (p *Policy) place(cluster, tenant string) (Place, error) {
	c, err := p.cluster(cluster)
	if err != nil {
		return Place{}, err
	}
	return Place{cluster: c, tenant: tenant, limits: p.TenantLimits(tenant)}, nil
}

func (p *Policy) cluster(id string) (*Cluster, error) {
	if id == "" && len(p.file.Clusters) == 1 {
		return p.file.Clusters[0], nil
	}
	if c, ok := p.clusters[id]; ok {
		return c, nil
	}
	ids := make([]string, len(p.file.Clusters))
	for i, c := range p.file.Clusters {
		ids[i] = c.ID
	}
	if id == "" {
		return nil, fmt.Errorf("the parameter cluster is missing: name one of %s: %w", strings.Join(ids, ", "), volume.ErrInvalid)
	}
	return nil, fmt.Errorf("cluster %.64q is not in the policy, which has %s: %w", id, strings.Join(ids, ", "), volume.ErrInvalid)
}

// tenantOf maps a namespace: a literal name wins over a pattern, the first
// pattern over later ones, and `auto` comes last.
//
// What is no namespace of Kubernetes belongs to nobody, whatever a pattern
// says: nothing but a DNS label gets as far as a comparison.
func (p *Policy) tenantOf(namespace string) (string, error) {
	if !volume.IsName(namespace, maxNamespace) {
		return "", fmt.Errorf("%.64q is no name of a namespace, so it belongs to no tenant: use a DNS label: %w", namespace, volume.ErrDenied)
	}
	if t := p.match(namespace); t != "" {
		return t, nil
	}
	if p.file.Auto {
		if t := autoTenant(namespace); p.tenants[t] == nil {
			return t, nil
		}
		return "", fmt.Errorf("namespace %.64q has the name of a tenant that does not list it: add it to the policy file: %w", namespace, volume.ErrDenied)
	}
	return "", fmt.Errorf("namespace %.64q belongs to no tenant: add it to the policy file: %w", namespace, volume.ErrDenied)
}

func (p *Policy) match(namespace string) string {
	found := ""
	for _, t := range p.file.Tenants {
		for _, n := range t.Namespaces {
			if n == namespace {
				return t.Name
			}
			if ok, _ := path.Match(n, namespace); ok && found == "" {
				found = t.Name
			}
		}
	}
	return found
}

// maxNamespace is Kubernetes' limit for a namespace's name, a DNS label.
const maxNamespace = 63

// isPattern says whether s names namespaces: a DNS label in which * and ? may
// stand for letters.
func isPattern(s string) bool {
	plain := strings.NewReplacer("*", "x", "?", "x").Replace(s)
	return volume.IsName(plain, maxNamespace)
}

// autoDigits are enough that nobody finds a namespace whose tenant is another
// namespace's: 80 bits.
const autoDigits = 20

// autoTenant names the tenant of a namespace: its own name, cut and hashed
// where that is too long. A namespace that looks like a hashed name is hashed
// too, so that nobody can choose a name that is another namespace's tenant.
func autoTenant(namespace string) string {
	if len(namespace) <= volume.MaxTenantName && !looksHashed(namespace) {
		return namespace
	}
	cut := min(len(namespace), volume.MaxTenantName-autoDigits-1)
	return strings.TrimRight(namespace[:cut], "-") + "-" + volume.Hash(namespace)[:autoDigits]
}

func looksHashed(s string) bool {
	i := len(s) - autoDigits - 1
	return i >= 0 && s[i] == '-' && strings.Trim(s[i+1:], "0123456789abcdef") == ""
}

func (p *Policy) knows(tenant string) bool {
	return p.tenants[tenant] != nil || (p.file.Auto && volume.IsName(tenant, volume.MaxTenantName))
}

// grants says whether the policy lets a tenant use another one's golden.
func (p *Policy) grants(tenant string, ref volume.GoldenRef) bool {
	own := p.tenants[tenant]
	return covers(p.file.Defaults.Goldens, ref) || (own != nil && covers(own.Goldens, ref))
}

func covers(goldens []string, ref volume.GoldenRef) bool {
	for _, g := range goldens {
		if g == ref.String() || g == ref.Tenant+"/*" || g == ref.Tenant+"/"+ref.Name+":*" {
			return true
		}
	}
	return false
}

func unknownTenant(name string) error {
	return fmt.Errorf("tenant %.64q is not in the policy file: %w", name, volume.ErrNotFound)
}
