package tenant

import (
	"fmt"
	"net"
	"os"
	"path"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Cluster is one Ceph cluster of the policy file.
type Cluster struct {
	// ID names the cluster in volume IDs and in the parameter `cluster`.
	ID string `json:"id"`
	// Monitors are host:port addresses of the messenger v2.
	Monitors []string `json:"monitors"`
	// Pool is the RBD pool that holds the tenants' namespaces.
	Pool string `json:"pool"`
	// DataPool holds the images' data where Pool cannot (erasure coding).
	DataPool string `json:"dataPool,omitempty"`
	// FileSystem is the CephFS file system.
	FileSystem string `json:"fileSystem,omitempty"`
	// User is the cephx user of the controller and of sdpctl, without
	// «client.». A node needs none: it uses the key of each request.
	User string `json:"user,omitempty"`
	// KeyFile names a file that holds User's base64 key and nothing else.
	KeyFile string `json:"keyFile,omitempty"`
}

// Tenant is one tenant of the policy file.
type Tenant struct {
	Name string `json:"name"`
	// Namespaces are Kubernetes namespaces; * and ? match as in path.Match.
	Namespaces []string `json:"namespaces"`
	// Goldens are other tenants' goldens that this one may use:
	// tenant/name:version, tenant/name:* or tenant/*.
	Goldens []string `json:"goldens,omitempty"`
}

// file is the policy file's shape.
type file struct {
	Clusters []*Cluster `json:"clusters"`
	Tenants  []*Tenant  `json:"tenants"`
	// Auto makes each namespace that no tenant names its own tenant.
	Auto bool `json:"auto,omitempty"`
}

// Load reads the policy file at path. It wraps volume.ErrInvalid with the
// reason when the file breaks a rule.
func Load(path string) (*Policy, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the policy file: %w", err)
	}
	p, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("policy file %s: %w", path, err)
	}
	return p, nil
}

// Parse reads a policy file's content (YAML). Unknown keys, names that are no
// names and a namespace that two tenants name are refused.
func Parse(data []byte) (*Policy, error) {
	var f file
	if err := yaml.UnmarshalStrict(data, &f); err != nil {
		return nil, fmt.Errorf("%s: %w", firstLine(err), volume.ErrInvalid)
	}
	p := &Policy{file: f, clusters: map[string]*Cluster{}, tenants: map[string]*Tenant{}}
	for _, c := range f.Clusters {
		if err := p.addCluster(c); err != nil {
			return nil, err
		}
	}
	for _, t := range f.Tenants {
		if err := p.addTenant(t); err != nil {
			return nil, err
		}
	}
	if len(f.Clusters) == 0 {
		return nil, fmt.Errorf("clusters: at least one is needed: %w", volume.ErrInvalid)
	}
	return p, p.checkNamespaces()
}

func firstLine(err error) string {
	s := strings.ReplaceAll(err.Error(), "\n", " ")
	return strings.TrimPrefix(s, "error unmarshaling JSON: while decoding JSON: ")
}

func (p *Policy) addCluster(c *Cluster) error {
	switch {
	case c == nil || !volume.IsName(c.ID, volume.MaxClusterName):
		return fmt.Errorf("clusters: an id must be a DNS label of at most %d characters: %w", volume.MaxClusterName, volume.ErrInvalid)
	case p.clusters[c.ID] != nil:
		return fmt.Errorf("clusters: id %q is there twice: %w", c.ID, volume.ErrInvalid)
	case len(c.Monitors) == 0:
		return fmt.Errorf("cluster %s: monitors are missing: %w", c.ID, volume.ErrInvalid)
	case !isPool(c.Pool) || (c.DataPool != "" && !isPool(c.DataPool)):
		return fmt.Errorf("cluster %s: pool must be named, without /, @, spaces or commas: %w", c.ID, volume.ErrInvalid)
	}
	for _, m := range c.Monitors {
		if err := checkMonitor(m); err != nil {
			return fmt.Errorf("cluster %s: %w", c.ID, err)
		}
	}
	p.clusters[c.ID] = c
	return nil
}

func checkMonitor(m string) error {
	host, port, err := net.SplitHostPort(m)
	n, perr := strconv.Atoi(port)
	if err != nil || perr != nil || net.ParseIP(host) == nil || n < 1 || n > 65535 {
		return fmt.Errorf("monitor %q is not IP:PORT (messenger v2, usually port 3300): %w", m, volume.ErrInvalid)
	}
	return nil
}

// isPool keeps out what has a meaning in krbd's option string or rbd's specs.
func isPool(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsAny(s, "/@, \t\n\x00")
}

func (p *Policy) addTenant(t *Tenant) error {
	switch {
	case t == nil || !volume.IsName(t.Name, volume.MaxTenantName):
		return fmt.Errorf("tenants: a name must be a DNS label of at most %d characters: %w", volume.MaxTenantName, volume.ErrInvalid)
	case p.tenants[t.Name] != nil:
		return fmt.Errorf("tenants: %q is there twice: %w", t.Name, volume.ErrInvalid)
	}
	for _, n := range t.Namespaces {
		if _, err := path.Match(n, ""); err != nil || n == "" {
			return fmt.Errorf("tenant %s: namespace pattern %q: %w", t.Name, n, volume.ErrInvalid)
		}
	}
	for _, g := range t.Goldens {
		if !isGrant(g) {
			return fmt.Errorf("tenant %s: golden %q is not tenant/name:version, tenant/name:* or tenant/*: %w", t.Name, g, volume.ErrInvalid)
		}
	}
	p.tenants[t.Name] = t
	return nil
}

func isGrant(s string) bool {
	owner, rest, ok := strings.Cut(s, "/")
	if !ok || !volume.IsName(owner, volume.MaxTenantName) {
		return false
	}
	if rest == "*" {
		return true
	}
	if name, ok := strings.CutSuffix(rest, ":*"); ok {
		return volume.IsName(name, volume.MaxGoldenName)
	}
	_, err := volume.ParseGoldenRef(s)
	return err == nil
}

// checkNamespaces refuses a namespace that two tenants name literally.
func (p *Policy) checkNamespaces() error {
	owner := map[string]string{}
	for _, t := range p.file.Tenants {
		for _, n := range t.Namespaces {
			if other, ok := owner[n]; ok {
				return fmt.Errorf("namespace %q is of tenant %s and of tenant %s: %w", n, other, t.Name, volume.ErrInvalid)
			}
			owner[n] = t.Name
		}
	}
	return nil
}
