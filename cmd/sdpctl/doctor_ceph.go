package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/kubernetes/checkup"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// diagnosis is what only doctor asks of Ceph.
type diagnosis interface {
	tenant.Inspector
	// Ping says whether the monitors and an OSD of the row's pool answer.
	Ping(ctx context.Context, row *tenant.Cluster) error
	// Versions are those of Ceph's programs that run, by kind.
	Versions(ctx context.Context, at tenant.Place) (map[string][]string, error)
	// UserCaps are a user's capabilities by whom they are told to: mon, mgr,
	// osd, mds; volume.ErrNotFound without the user.
	UserCaps(ctx context.Context, at tenant.Place, user string) (map[string]string, error)
	// Serving says whether somebody makes the users of volumes in CephFS for
	// controllers that may not; volume.ErrUnavailable where nobody does.
	Serving(ctx context.Context, row *tenant.Cluster) error
}

// doctor looks at one cluster of the policy.
type doctor struct {
	*app
	*doctorFlags
	checkup.Findings
	policy  *tenant.Policy
	cluster cluster
	pool    tenant.Place
}

func (a *app) examineCeph(ctx context.Context, f *doctorFlags) []checkup.Finding {
	found := checkup.Findings{Area: areaCeph}
	policy, err := a.loadPolicy()
	if err != nil {
		found.Bad("the policy file", "mend it, or name another one with --config", "%s", err.Error())
		return found.All
	}
	found.Good("the policy file", "has %d clusters and %d tenants", len(policy.Clusters()), len(policy.Tenants()))
	c, err := a.ceph()
	if err != nil {
		found.Bad("Ceph", "look at the key file that the policy names", "%s", err.Error())
		return found.All
	}
	all := found.All
	for _, row := range policy.Clusters() {
		pool, err := policy.Pool(row.ID)
		if err != nil || (f.cluster != "" && f.cluster != row.ID) {
			continue
		}
		d := &doctor{app: a, doctorFlags: f, policy: policy, cluster: c, pool: pool, Findings: checkup.Findings{Area: areaCeph}}
		d.examine(ctx)
		all = append(all, d.All...)
	}
	return all
}

func (d *doctor) name(check string) string {
	return "cluster " + d.pool.Cluster().ID + ": " + check
}

func (d *doctor) examine(ctx context.Context) {
	row := d.pool.Cluster()
	if err := d.cluster.Ping(ctx, row); err != nil {
		d.Unanswered(d.name("monitors and pool"), "look at monitors, pool, user and keyFile in the policy, and at `ceph -s`", err)
		return
	}
	d.Good(d.name("monitors and pool"), "answer client.%s", row.User)
	d.versions(ctx)
	d.controller(ctx)
	r, err := d.registrar()
	if err != nil {
		d.Bad(d.name("tenants"), "mend the policy file", "%s", err.Error())
		return
	}
	d.tenants(ctx, r)
	d.rights(ctx, r)
	d.goldens(ctx)
}

func (d *doctor) versions(ctx context.Context) {
	check := d.name("versions")
	all, err := d.cluster.Versions(ctx, d.pool)
	if err != nil {
		d.Unanswered(check, "look at `ceph versions`", err)
		return
	}
	needed := []string{"mon", "mgr", "osd"}
	if d.pool.Cluster().FileSystem != "" {
		needed = append(needed, "mds")
	}
	var says []string
	for _, kind := range needed {
		if len(all[kind]) == 0 {
			d.Bad(check, "start one: `ceph -s` tells what is missing", "no %s runs", kind)
			return
		}
		slices.Sort(all[kind])
		says = append(says, kind+" "+strings.Join(all[kind], ", "))
	}
	d.Good(check, "%s", strings.Join(says, "; "))
}

// controller looks at the rights of the controller's user.
func (d *doctor) controller(ctx context.Context) {
	if d.controllerUser == "" {
		return
	}
	check, pool, files := d.name("client."+d.controllerUser), d.pool.Pool(), d.pool.Cluster().FileSystem
	caps, err := d.cluster.UserCaps(ctx, d.pool, d.controllerUser)
	mon, osd := caps["mon"], caps["osd"]
	fix := d.controllersRights("caps", d.controllerUser)
	switch {
	case err != nil:
		d.Unanswered(check, d.controllersRights("get-or-create", d.controllerUser), err)
	case strings.Contains(mon, "allow *") || strings.Contains(mon, "allow rwx"):
		d.Doubt(check, "give the controller a user of its own: "+d.controllersRights("get-or-create", "sdp"), "may make users, which the controller does not need")
	case !strings.Contains(mon, "profile rbd"):
		d.Bad(check, fix, "lacks the profile rbd of the monitors")
	case !strings.Contains(osd, "pool="+pool) && !strings.Contains(osd, "allow *"):
		d.Bad(check, fix, "has no right on pool %s", pool)
	case files != "" && !strings.Contains(osd, "cephfs data="+files) && !strings.Contains(osd, "allow *"):
		d.Bad(check, fix, "has no right on file system %s", files)
	case files != "" && caps["mgr"] == "":
		d.Bad(check, fix, "may not ask the manager, which makes volumes in CephFS")
	case strings.Contains(mon, `"auth `):
		d.Doubt(check, fix, "may make users of volumes, which it needs only with --volume-users=self")
	case files != "" && makesUsers(caps["mgr"]):
		d.Doubt(check, fix, "may have the manager make users (fs subvolume authorize), which the controller does not need")
		d.serving(ctx)
	default:
		d.Good(check, "has the rights of a controller")
		d.serving(ctx)
	}
}

// makesUsers says whether the manager makes users for who has this right: all
// but single commands do for that.
func makesUsers(mgr string) bool {
	for _, grant := range strings.Split(mgr, ",") {
		if !strings.Contains(grant, "allow command") || strings.Contains(grant, "authorize") {
			return true
		}
	}
	return false
}

// serving looks for who makes the users of volumes in CephFS for a controller
// that may not.
func (d *doctor) serving(ctx context.Context) {
	if d.pool.Cluster().FileSystem == "" {
		return
	}
	check := d.name("users of volumes")
	if err := d.cluster.Serving(ctx, d.pool.Cluster()); err != nil {
		d.Bad(check, "look at the pod of sdp-tenants (sdp-csi --mode=tenants): writable volumes in CephFS wait for it", "%s", err.Error())
		return
	}
	d.Good(check, "are made by sdp-csi --mode=tenants")
}

// controllersRights is the command that gives a controller's user its rights.
// Those of CephFS are longer than a line, and `ceph auth caps` takes away what
// it does not name.
func (d *doctor) controllersRights(verb, user string) string {
	if d.pool.Cluster().FileSystem != "" {
		return fmt.Sprintf("ceph auth %s client.%s with the rights that docs/guides/cephfs.md gives client.sdp", verb, user)
	}
	return fmt.Sprintf("ceph auth %s client.%s mon 'profile rbd' osd 'profile rbd pool=%s'", verb, user, d.pool.Pool())
}

// tenants looks whether each tenant of the policy has users.
func (d *doctor) tenants(ctx context.Context, r *tenant.Registrar) {
	check := d.name("tenants")
	users, err := d.cluster.Users(ctx, d.pool)
	if err != nil {
		d.Unanswered(check, "look at `ceph auth ls`", err)
		return
	}
	var without, revoked []string
	for _, at := range d.policy.PlacesIn(d.pool.Cluster(), nil) {
		if slices.ContainsFunc(users, func(u tenant.User) bool { return u.Tenant == at.Tenant() && u.Role != "" }) {
			continue
		}
		if out, err := r.Revoked(ctx, at); err == nil && out {
			revoked = append(revoked, at.Tenant())
			continue
		}
		without = append(without, at.Tenant())
	}
	switch {
	case len(without) > 0:
		d.Bad(check, "run `sdpctl tenant create`, or --mode=tenants", "without users: %s", strings.Join(without, ", "))
	case len(revoked) > 0:
		d.Doubt(check, "`sdpctl tenant create` lets them in again", "revoked: %s", strings.Join(revoked, ", "))
	default:
		d.Good(check, "all of the policy have users")
	}
}

// rights compares what users may do with the policy.
func (d *doctor) rights(ctx context.Context, r *tenant.Registrar) {
	check := d.name("rights")
	differ, err := r.Audit(ctx, d.pool, d.cluster)
	switch {
	case err != nil:
		d.Unanswered(check, "look at the record or the image that is named", err)
	case len(differ) > 0:
		d.Bad(check, "run `sdpctl tenant sync`, or --mode=tenants, and write the Secrets again", "%s", strings.Join(differ, "; "))
	default:
		d.Good(check, "are what the policy says")
	}
}

// goldens looks for those that were never sealed, and for the one that is
// named.
func (d *doctor) goldens(ctx context.Context) {
	d.named(ctx)
	check := d.name("goldens")
	all, err := d.libraries()
	if err != nil {
		d.Bad(check, "mend the policy file", "%s", err.Error())
		return
	}
	found, err := listGoldens(ctx, all.any(), d.policy.PlacesIn(d.pool.Cluster(), nil), false)
	if err != nil {
		d.Unanswered(check, "look at the record that is named", err)
		return
	}
	counts := map[volume.GoldenState]int{}
	var half []string
	for _, g := range found {
		counts[g.State]++
		if g.State == volume.GoldenCreating {
			half = append(half, g.Golden)
		}
	}
	if len(half) > 0 {
		d.Doubt(check, "run `sdpctl golden import` again where none is running, or `sdpctl golden delete`", "not sealed: %s", strings.Join(half, ", "))
		return
	}
	d.Good(check, "%s", countsText(counts))
}

func countsText(counts map[volume.GoldenState]int) string {
	if len(counts) == 0 {
		return "there are none"
	}
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[state], state))
	}
	return strings.Join(parts, ", ")
}

func (d *doctor) named(ctx context.Context) {
	if d.wanted == "" {
		return
	}
	check := d.name("golden " + d.wanted)
	_, ref, err := d.app.golden(d.where, d.wanted)
	if err == nil {
		err = d.sealed(ctx, d.pool.Cluster().ID, "", ref)
	}
	if err != nil {
		d.Bad(check, "import it, or name another one", "%s", err.Error())
		return
	}
	d.Good(check, "is sealed")
}

// secretFields are what the node Secret of a namespace is to hold. It is of the
// policy's first cluster.
func (a *app) secretFields(ctx context.Context, namespace string) (map[string]string, error) {
	policy, err := a.loadPolicy()
	if err != nil {
		return nil, err
	}
	at, err := policy.Admit(namespace, policy.Clusters()[0].ID)
	if errors.Is(err, volume.ErrDenied) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := a.registrar()
	if err != nil {
		return nil, err
	}
	keys, err := r.Keys(ctx, at)
	if err != nil {
		return nil, err
	}
	return keys.Fields(), nil
}
