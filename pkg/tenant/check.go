package tenant

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// checker holds a policy file to its rules and fills the policy's maps.
type checker struct {
	policy *Policy
	doc    document
}

// at are the steps that lead to a fault in the document.
type at []any

// refuse names the line and the reason.
func (c checker) refuse(where at, format string, args ...any) error {
	return fmt.Errorf("line %d: %s: %w", c.doc.line(where...), fmt.Sprintf(format, args...), volume.ErrInvalid)
}

func (c checker) check() error {
	f := c.policy.file
	if len(f.Clusters) == 0 {
		return c.refuse(at{"clusters"}, "clusters: at least one is needed")
	}
	for i, row := range f.Clusters {
		if err := c.cluster(at{"clusters", i}, row); err != nil {
			return err
		}
	}
	for i, row := range f.Tenants {
		if err := c.tenant(at{"tenants", i}, row); err != nil {
			return err
		}
	}
	if err := c.grants(at{"defaults"}, "defaults", f.Defaults.Goldens); err != nil {
		return err
	}
	if err := c.limits(at{"defaults", "limits"}, "defaults", f.Defaults.Limits); err != nil {
		return err
	}
	return c.namespaces()
}

func (c checker) cluster(where at, row *Cluster) error {
	switch {
	case row == nil || !volume.IsName(row.ID, volume.MaxClusterName):
		return c.refuse(append(where, "id"), "clusters: an id must be a DNS label of at most %d characters", volume.MaxClusterName)
	case c.policy.clusters[row.ID] != nil:
		return c.refuse(append(where, "id"), "clusters: id %q is there twice", row.ID)
	case len(row.Monitors) == 0 && row.MonitorsFile == "":
		return c.refuse(append(where, "monitors"), "cluster %s: monitors are missing", row.ID)
	case len(row.Monitors) > 0 && row.MonitorsFile != "":
		return c.refuse(append(where, "monitorsFile"), "cluster %s: monitors are there, and monitorsFile names others: leave one out", row.ID)
	case !isPool(row.Pool):
		return c.refuse(append(where, "pool"), "cluster %s: pool must be named with letters, digits, . _ and -", row.ID)
	case row.DataPool != "" && !isPool(row.DataPool):
		return c.refuse(append(where, "dataPool"), "cluster %s: dataPool must be named with letters, digits, . _ and -", row.ID)
	case row.FileSystem != "" && !isPool(row.FileSystem):
		return c.refuse(append(where, "fileSystem"), "cluster %s: fileSystem must be named with letters, digits, . _ and -", row.ID)
	}
	for i, m := range row.Monitors {
		if !isMonitor(m) {
			return c.refuse(append(where, "monitors", i), "cluster %s: monitor %q is not IP:PORT (messenger v2, usually port 3300)", row.ID, m)
		}
	}
	return c.addCluster(where, row)
}

// addCluster refuses a pool that another row has: a volume would have two IDs.
// Of a file system the tenants' directories would be the same.
func (c checker) addCluster(where at, row *Cluster) error {
	for _, other := range c.policy.clusters {
		if other.Pool == row.Pool && overlap(other, row) {
			return c.refuse(append(where, "pool"), "clusters %s and %s are the same pool of the same monitors", other.ID, row.ID)
		}
		if row.FileSystem != "" && other.FileSystem == row.FileSystem && overlap(other, row) {
			return c.refuse(append(where, "fileSystem"), "clusters %s and %s are the same fileSystem of the same monitors", other.ID, row.ID)
		}
	}
	c.policy.clusters[row.ID] = row
	return nil
}

func overlap(a, b *Cluster) bool {
	return a.MonitorsFile != "" && a.MonitorsFile == b.MonitorsFile ||
		slices.ContainsFunc(a.Monitors, func(s string) bool { return slices.Contains(b.Monitors, s) })
}

func isMonitor(m string) bool {
	host, port, err := net.SplitHostPort(m)
	n, perr := strconv.Atoi(port)
	return err == nil && perr == nil && net.ParseIP(host) != nil && n > 0 && n < 65536
}

const maxPool = 64

// isPool keeps out what has a meaning in krbd's option string, in rbd's specs
// or in Ceph's caps.
func isPool(s string) bool {
	return s != "" && len(s) <= maxPool && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == "" && s[0] != '-'
}

func (c checker) tenant(where at, row *Tenant) error {
	switch {
	case row == nil || !volume.IsName(row.Name, volume.MaxTenantName):
		return c.refuse(append(where, "name"), "tenants: a name must be a DNS label of at most %d characters", volume.MaxTenantName)
	case c.policy.tenants[row.Name] != nil:
		return c.refuse(append(where, "name"), "tenants: %q is there twice", row.Name)
	}
	for i, n := range row.Namespaces {
		if !isPattern(n) {
			return c.refuse(append(where, "namespaces", i), "tenant %s: namespace %q is no DNS label of at most %d characters (* and ? make it a pattern)", row.Name, n, maxNamespace)
		}
	}
	if err := c.grants(where, "tenant "+row.Name, row.Goldens); err != nil {
		return err
	}
	c.policy.tenants[row.Name] = row
	if row.Limits == nil {
		return nil
	}
	return c.limits(append(where, "limits"), "tenant "+row.Name, *row.Limits)
}

func (c checker) grants(where at, whose string, goldens []string) error {
	for i, g := range goldens {
		if !isGrant(g) {
			return c.refuse(append(slices.Clone(where), "goldens", i), "%s: golden %q is not tenant/name:version, tenant/name:* or tenant/*", whose, g)
		}
	}
	return nil
}

func (c checker) limits(where at, whose string, l Limits) error {
	if l.Volumes < 0 || l.Bytes < 0 || l.Largest < 0 || l.Inline() < 0 {
		return c.refuse(where, "%s: a limit is negative; 0 is none", whose)
	}
	return nil
}

// namespaces refuses one that two tenants name, or two same patterns.
func (c checker) namespaces() error {
	owner := map[string]string{}
	for i, t := range c.policy.file.Tenants {
		for j, n := range t.Namespaces {
			if other, ok := owner[n]; ok {
				return c.refuse(at{"tenants", i, "namespaces", j}, "namespace %q is of tenant %s and of tenant %s", n, other, t.Name)
			}
			owner[n] = t.Name
		}
	}
	return nil
}

// isGrant says whether s names another tenant's goldens.
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
