package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
)

// tenantRow is a tenant as the policy tells.
type tenantRow struct {
	Name       string       `json:"name"`
	Namespaces []string     `json:"namespaces"`
	Goldens    []string     `json:"goldens"`
	Limits     tenantLimits `json:"limits"`
}

// tenantLimits are a tenant's limits; 0 is none.
type tenantLimits struct {
	Volumes int64 `json:"volumes"`
	Bytes   int64 `json:"bytes"`
	Largest int64 `json:"largest"`
	Inline  int64 `json:"inlinePerNode"`
}

func newTenantListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the policy's tenants", Example: "  sdpctl tenant list -o json", Args: exactArgs(0, "no argument"),
		RunE: func(*cobra.Command, []string) error { return a.listTenants() },
	}
}

func (a *app) listTenants() error {
	policy, err := a.loadPolicy()
	if err != nil {
		return err
	}
	rows := []tenantRow{}
	t := table{header: []string{"NAME", "NAMESPACES", "GOLDENS OF OTHERS", "VOLUMES", "BYTES", "LARGEST"}}
	for _, row := range policy.Tenants() {
		limits := rowLimits(policy, row)
		rows = append(rows, tenantRow{Name: row.Name, Namespaces: orEmpty(row.Namespaces), Goldens: orEmpty(row.Goldens), Limits: limits})
		t.rows = append(t.rows, []string{
			row.Name, orDash(row.Namespaces), orDash(row.Goldens),
			limitText(limits.Volumes, false), limitText(limits.Bytes, true), limitText(limits.Largest, true),
		})
	}
	return a.print(rows, t)
}

func rowLimits(policy *tenant.Policy, row *tenant.Tenant) tenantLimits {
	l := policy.TenantLimits(row.Name)
	return tenantLimits{Volumes: l.Volumes, Bytes: int64(l.Bytes), Largest: int64(l.Largest), Inline: l.Inline()}
}

func limitText(n int64, bytes bool) string {
	switch {
	case n == 0:
		return "-"
	case bytes:
		return bytesText(n)
	}
	return strconv.FormatInt(n, 10)
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func orDash(list []string) string {
	if len(list) == 0 {
		return "-"
	}
	return strings.Join(list, ",")
}

// tenantStanding is a tenant as Ceph and the policy tell.
type tenantStanding struct {
	tenantRow
	Cluster string   `json:"cluster"`
	Users   []string `json:"users"`
	// VolumeUsers are those of single volumes in CephFS.
	VolumeUsers []string `json:"volumeUsers"`
	Granted     []string `json:"granted"`
	// Withdrawn are volumes on goldens whose grant was withdrawn.
	Withdrawn map[string][]string `json:"withdrawn"`
	Used      tenantUsage         `json:"used"`
}

// tenantUsage is what counts against the limits.
type tenantUsage struct {
	Volumes int64 `json:"volumes"`
	Bytes   int64 `json:"bytes"`
}

func newTenantShowCommand(a *app) *cobra.Command {
	return onTenant(a, "show TENANT", "Show a tenant's users, the goldens it may use, and volumes on goldens that it may use no more",
		"  sdpctl tenant show acme\n  sdpctl tenant show acme -o json", func(cmd *cobra.Command, r *tenant.Registrar, at tenant.Place) error {
			st, err := r.Standing(cmd.Context(), at)
			if err != nil {
				return err
			}
			used, err := a.cluster.Used(cmd.Context(), at)
			if err != nil {
				return err
			}
			return a.printStanding(at, st, tenantUsage(used))
		})
}

func (a *app) printStanding(at tenant.Place, st tenant.Standing, used tenantUsage) error {
	policy, err := a.loadPolicy()
	if err != nil {
		return err
	}
	row := policy.Row(at)
	data := tenantStanding{
		tenantRow: tenantRow{Name: at.Tenant(), Namespaces: orEmpty(row.Namespaces), Goldens: orEmpty(row.Goldens), Limits: rowLimits(policy, row)},
		Cluster:   at.Cluster().ID, Users: userNames(st.Users), VolumeUsers: userNames(st.VolumeUsers), Granted: []string{}, Withdrawn: map[string][]string{}, Used: used,
	}
	for _, ref := range st.Granted {
		data.Granted = append(data.Granted, ref.String())
	}
	for ref, images := range st.Withdrawn {
		slices.Sort(images)
		data.Withdrawn[ref.String()] = images
	}
	return a.print(data, data.table())
}

func (s tenantStanding) table() table {
	t := table{rows: [][]string{
		{"Tenant:", s.Name},
		{"Cluster:", s.Cluster},
		{"Namespaces:", orDash(s.Namespaces)},
		{"Users:", orDash(s.Users)},
		{"Users of volumes in CephFS:", strconv.Itoa(len(s.VolumeUsers))},
		{"Goldens of others:", orDash(s.Granted)},
		{"Limits:", "volumes " + limitText(s.Limits.Volumes, false) + ", bytes " + limitText(s.Limits.Bytes, true) + ", largest " + limitText(s.Limits.Largest, true) + ", inline per node " + limitText(s.Limits.Inline, false)},
		{"Used:", "volumes " + strconv.FormatInt(s.Used.Volumes, 10) + ", bytes " + bytesText(s.Used.Bytes)},
	}}
	names := make([]string, 0, len(s.Withdrawn))
	for name := range s.Withdrawn {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t.rows = append(t.rows, []string{"On withdrawn " + name + ":", strings.Join(s.Withdrawn[name], ",")})
	}
	return t
}
