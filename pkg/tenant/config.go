package tenant

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"go.yaml.in/yaml/v3"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Cluster is one Ceph cluster of the policy file.
type Cluster struct {
	// ID names the cluster in volume IDs and in the parameter `cluster`.
	ID string `yaml:"id"`
	// Monitors are host:port addresses of the messenger v2.
	Monitors []string `yaml:"monitors"`
	// MonitorsFile names a file with them instead, as Rook writes it.
	MonitorsFile string `yaml:"monitorsFile,omitempty"`
	// Pool is the RBD pool that holds the tenants' namespaces.
	Pool string `yaml:"pool"`
	// DataPool holds the images' data where Pool cannot (erasure coding).
	DataPool string `yaml:"dataPool,omitempty"`
	// FileSystem is the CephFS file system.
	FileSystem string `yaml:"fileSystem,omitempty"`
	// User is the cephx user of the controller and of sdpctl, without
	// «client.». A node needs none: it uses the key of each request.
	User string `yaml:"user,omitempty"`
	// KeyFile names a file that holds User's base64 key and nothing else.
	KeyFile string `yaml:"keyFile,omitempty"`
}

// Tenant is one tenant of the policy file.
type Tenant struct {
	Name string `yaml:"name"`
	// Namespaces are Kubernetes namespaces; in a pattern, * stands for any
	// letters and ? for one.
	Namespaces []string `yaml:"namespaces"`
	// Goldens are other tenants' goldens that this one may use:
	// tenant/name:version, tenant/name:* or tenant/*.
	Goldens []string `yaml:"goldens,omitempty"`
	// Limits replace the default limits as a whole.
	Limits *Limits `yaml:"limits,omitempty"`
	// ReadOnlyNodes keeps the writing key out of the tenant's node Secrets:
	// its nodes can stage read-only volumes and nothing else.
	ReadOnlyNodes bool `yaml:"readOnlyNodes,omitempty"`
	// Inline lets the tenant's pods have goldens as inline volumes. Who can
	// read Secrets in its namespaces can then read what its nodes can.
	Inline bool `yaml:"inline,omitempty"`
}

// Defaults are what the policy says of tenants beside their own rows, and all
// that it says of those which exist by `auto` alone.
type Defaults struct {
	// Limits hold for each tenant that names none.
	Limits Limits `yaml:"limits,omitempty"`
	// Goldens may be used by every tenant, beside its own list.
	Goldens []string `yaml:"goldens,omitempty"`
	// ReadOnlyNodes and Inline hold for tenants by `auto`.
	ReadOnlyNodes bool `yaml:"readOnlyNodes,omitempty"`
	Inline        bool `yaml:"inline,omitempty"`
}

// file is the policy file's shape.
type file struct {
	Clusters []*Cluster `yaml:"clusters"`
	Tenants  []*Tenant  `yaml:"tenants"`
	// Auto makes each namespace that no tenant names its own tenant.
	Auto     bool     `yaml:"auto,omitempty"`
	Defaults Defaults `yaml:"defaults,omitempty"`
}

// Load reads the policy file at path. It wraps volume.ErrInvalid with line
// and reason when the file breaks a rule.
func Load(path string) (*Policy, error) {
	_, p, err := load(path)
	return p, err
}

// load returns the policy and all that it was read of, the files of monitors
// too.
func load(path string) ([]byte, *Policy, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read the policy file: %w", err)
	}
	p, err := Parse(data)
	if err != nil {
		return data, nil, fmt.Errorf("policy file %s: %w", path, err)
	}
	monitors, err := p.readMonitors()
	if err != nil {
		return data, nil, fmt.Errorf("policy file %s: %w", path, err)
	}
	return append(data, monitors...), p, nil
}

// Parse reads a policy file's content (YAML). Unknown keys, names that are no
// names and a namespace that two tenants name are refused. It wraps
// volume.ErrInvalid and names the line.
func Parse(data []byte) (*Policy, error) {
	f, doc, err := decode(data)
	if err != nil {
		return nil, err
	}
	p := &Policy{file: f, clusters: map[string]*Cluster{}, tenants: map[string]*Tenant{}, line: doc.line("clusters")}
	c := checker{policy: p, doc: doc}
	if err := c.check(); err != nil {
		return nil, err
	}
	return p, nil
}

// decode reads one YAML document twice: strictly into the file's shape, and
// into nodes, which know their lines.
func decode(data []byte) (f file, doc document, err error) {
	strict := yaml.NewDecoder(bytes.NewReader(data))
	strict.KnownFields(true)
	err = strict.Decode(&f)
	if errors.Is(err, io.EOF) {
		return f, doc, fmt.Errorf("line 1: the file is empty: %w", volume.ErrInvalid)
	}
	if err != nil {
		return f, doc, fmt.Errorf("%s: %w", oneLine(err), volume.ErrInvalid)
	}
	var more yaml.Node
	if err := strict.Decode(&more); !errors.Is(err, io.EOF) {
		return f, doc, fmt.Errorf("line %d: there is a second document in the file: %w", max(more.Line, 1), volume.ErrInvalid)
	}
	if err := yaml.Unmarshal(data, &doc.root); err != nil {
		return f, doc, fmt.Errorf("%s: %w", oneLine(err), volume.ErrInvalid)
	}
	return f, doc, nil
}
