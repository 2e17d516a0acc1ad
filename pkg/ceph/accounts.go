package ceph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"

	librbd "github.com/ceph/go-ceph/rbd"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

var _ tenant.Accounts = (*Cluster)(nil)

// entityPrefix is what Ceph has before the name of a user that is a client.
const entityPrefix = "client."

// ask runs a monitor command with the key of the cluster's row and reads its
// JSON answer into out.
func (c *Cluster) ask(ctx context.Context, at tenant.Place, out any, arguments map[string]any) error {
	arguments["format"] = "json"
	return c.connections.use(ctx, ownLogin(at.Cluster()), func(conn *connection) error {
		answer, err := conn.command(arguments)
		if err != nil {
			return fmt.Errorf("%s: %w", arguments["prefix"], classify(err))
		}
		if out == nil {
			return nil
		}
		return readAnswer(arguments["prefix"], answer, out)
	})
}

// readAnswer does not quote what it cannot read: there may be keys in it.
func readAnswer(command any, answer []byte, out any) error {
	if json.Unmarshal(answer, out) != nil {
		return fmt.Errorf("the monitors' answer to %s is not as expected: %w", command, volume.ErrUnavailable)
	}
	return nil
}

// Users implements tenant.Users. Those of volumes in the cluster's file system
// are about its pool too, where their keys are.
func (c *Cluster) Users(ctx context.Context, at tenant.Place) ([]tenant.User, error) {
	mine, _, err := c.users(ctx, at)
	return mine, err
}

// users are the users of the place's pool, and those that the project made
// for other pools of the same Ceph. The monitors can list all users only, keys
// included; the keys are not even decoded.
func (c *Cluster) users(ctx context.Context, at tenant.Place) (mine, others []tenant.User, err error) {
	var answer struct {
		Dump []struct {
			Entity string
			Caps   struct{ OSD string }
		} `json:"auth_dump"`
	}
	if err := c.ask(ctx, at, &answer, map[string]any{"prefix": "auth ls"}); err != nil {
		return nil, nil, err
	}
	for _, e := range answer.Dump {
		name, ok := strings.CutPrefix(e.Entity, entityPrefix)
		switch u, ours := tenant.ParseUser(name); {
		case !ok || !ours:
		case isOfPool(e.Caps.OSD, at.Pool()), u.Volume != "" && isOfFiles(e.Caps.OSD, at.Cluster().FileSystem):
			mine = append(mine, u)
		default:
			others = append(others, u)
		}
	}
	return mine, others, nil
}

// isOfPool says whether caps that capsOf wrote are about the pool.
func isOfPool(osd, pool string) bool { return strings.Contains(osd, " pool="+pool+" ") }

// account is a user as the monitors print one.
type account struct {
	Key  string
	Caps struct{ Mon, OSD, MDS string }
}

// account returns a user; volume.ErrNotFound without it.
func (c *Cluster) account(ctx context.Context, at tenant.Place, u tenant.User) (account, error) {
	var answer []account
	if err := c.ask(ctx, at, &answer, map[string]any{"prefix": "auth get", "entity": entityPrefix + u.String()}); err != nil {
		return account{}, err
	}
	if len(answer) != 1 {
		return account{}, fmt.Errorf("the monitors know %d users %s: %w", len(answer), u, volume.ErrUnavailable)
	}
	return answer[0], nil
}

// Put implements tenant.Users.
func (c *Cluster) Put(ctx context.Context, u tenant.User, a tenant.Access) error {
	n, err := c.names(ctx, a.At)
	if err != nil {
		return err
	}
	want := capsOf(a, n)
	arguments := map[string]any{"entity": entityPrefix + u.String(), "caps": want.pairs()}
	old, err := c.account(ctx, a.At, u)
	switch {
	case errors.Is(err, volume.ErrNotFound):
		arguments["prefix"] = "auth get-or-create"
	case err != nil:
		return err
	case want.are(old):
		return nil
	case !isOfPool(old.Caps.OSD, n.pool):
		return fmt.Errorf("user %s is there and belongs to another pool than %s: two clusters of the policy must not be one Ceph with tenants of the same names (if that pool is gone, remove the user with ceph auth rm): %w", u, n.pool, volume.ErrConflict)
	default:
		arguments["prefix"] = "auth caps"
	}
	return c.ask(ctx, a.At, nil, arguments)
}

// Matches implements tenant.Inspector.
func (c *Cluster) Matches(ctx context.Context, u tenant.User, a tenant.Access) (bool, error) {
	n, err := c.names(ctx, a.At)
	if err != nil {
		return false, err
	}
	has, err := c.account(ctx, a.At, u)
	return err == nil && capsOf(a, n).are(has), err
}

// are says whether an account has these caps and no others.
func (c caps) are(a account) bool {
	return a.Caps.Mon == c.mon && a.Caps.OSD == c.osd && a.Caps.MDS == c.mds
}

// names finds out how Ceph calls the place's pools.
func (c *Cluster) names(ctx context.Context, at tenant.Place) (n names, err error) {
	n = names{pool: at.Pool(), data: at.Cluster().DataPool}
	err = c.connections.use(ctx, ownLogin(at.Cluster()), func(conn *connection) error {
		ioctx, err := conn.in(n.pool, "")
		if err != nil {
			return noPool(at, err)
		}
		n.poolID = ioctx.GetPoolID()
		return nil
	})
	return n, err
}

// Key implements tenant.Users.
func (c *Cluster) Key(ctx context.Context, at tenant.Place, u tenant.User) (volume.Credentials, error) {
	a, err := c.account(ctx, at, u)
	if err != nil {
		return volume.Credentials{}, fmt.Errorf("key of user %s: %w", u, err)
	}
	return volume.Credentials{User: u.String(), Key: volume.Secret(a.Key)}, nil
}

// Remove implements tenant.Users.
func (c *Cluster) Remove(ctx context.Context, at tenant.Place, u tenant.User) error {
	err := c.ask(ctx, at, nil, map[string]any{"prefix": "auth rm", "entity": entityPrefix + u.String()})
	if errors.Is(err, volume.ErrNotFound) {
		return nil
	}
	return err
}

// MakeNamespace implements tenant.Namespaces.
func (c *Cluster) MakeNamespace(ctx context.Context, at tenant.Place) error {
	if at.Cluster().FileSystem != "" {
		if err := NewFileSystem(c).makeGroup(ctx, at); err != nil {
			return err
		}
	}
	return c.inPool(ctx, at, func(conn *connection) error {
		ioctx, err := conn.in(at.Pool(), "")
		if err != nil {
			return noPool(at, err)
		}
		err = librbd.NamespaceCreate(ioctx, at.Namespace())
		if is(err, syscall.EEXIST) {
			return nil
		}
		return classify(err)
	})
}

// RemoveNamespace implements tenant.Namespaces. The namespace of the keys is no
// RBD namespace and goes with its last object.
func (c *Cluster) RemoveNamespace(ctx context.Context, at tenant.Place) error {
	if at.Cluster().FileSystem != "" {
		f := NewFileSystem(c)
		if err := f.removeGroup(ctx, at); err != nil {
			return err
		}
		if err := f.removeKeys(ctx, at); err != nil {
			return err
		}
	}
	return c.inPool(ctx, at, func(conn *connection) error {
		ioctx, err := conn.in(at.Pool(), "")
		if err != nil {
			return noPool(at, err)
		}
		return classify(absentIsDone(librbd.NamespaceRemove(ioctx, at.Namespace())))
	})
}

// ListNamespaces implements tenant.Namespaces.
func (c *Cluster) ListNamespaces(ctx context.Context, at tenant.Place) (found []string, err error) {
	err = c.inPool(ctx, at, func(conn *connection) error {
		ioctx, err := conn.in(at.Pool(), "")
		if err != nil {
			return noPool(at, err)
		}
		found, err = librbd.NamespaceList(ioctx)
		return classify(err)
	})
	return found, err
}

func (c *Cluster) inPool(ctx context.Context, at tenant.Place, call func(*connection) error) error {
	return c.connections.use(ctx, ownLogin(at.Cluster()), call)
}
