package ceph

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
)

// blockFor is how long a client stays shut out: a year. The default of an
// hour is as long as a ticket lives, and a node with a stale mapping can live
// longer. The monitors take a number with a decimal point only.
const blockFor = json.Number("31536000.0")

// Connected implements tenant.Clients. A client has a session with one
// monitor, so each monitor is asked.
func (c *Cluster) Connected(ctx context.Context, at tenant.Place) (map[tenant.User][]string, error) {
	var dump struct{ Mons []struct{ Name string } }
	if err := c.ask(ctx, at, &dump, map[string]any{"prefix": "mon dump"}); err != nil {
		return nil, err
	}
	_, others, err := c.users(ctx, at)
	if err != nil {
		return nil, err
	}
	found := map[tenant.User][]string{}
	for _, mon := range dump.Mons {
		sessions, err := c.sessions(ctx, at, mon.Name)
		if err != nil {
			return nil, fmt.Errorf("sessions of monitor %s: %w", mon.Name, err)
		}
		for _, s := range sessions {
			s.addTo(found)
		}
	}
	for _, u := range others {
		delete(found, u)
	}
	return found, nil
}

// session is a client of a monitor as it prints one.
type session struct {
	Entity string `json:"entity_name"`
	Addrs  struct {
		Vec []struct {
			Addr  string
			Nonce uint64
		} `json:"addrvec"`
	}
}

func (c *Cluster) sessions(ctx context.Context, at tenant.Place, mon string) (all []session, err error) {
	command, err := json.Marshal(map[string]any{"prefix": "sessions", "format": "json"})
	if err != nil {
		return nil, err
	}
	err = c.connections.use(ctx, ownLogin(at.Cluster()), func(conn *connection) error {
		answer, _, err := conn.conn.MonCommandTarget(mon, [][]byte{command})
		if err != nil {
			return classify(err)
		}
		return readAnswer("sessions", answer, &all)
	})
	return all, err
}

// addTo adds the session's address, the same for all its messengers, to its
// user's.
func (s session) addTo(found map[tenant.User][]string) {
	name, ok := strings.CutPrefix(s.Entity, entityPrefix)
	u, ours := tenant.ParseUser(name)
	if !ok || !ours {
		return
	}
	for _, a := range s.Addrs.Vec {
		address := fmt.Sprintf("%s/%d", a.Addr, a.Nonce)
		if !slices.Contains(found[u], address) {
			found[u] = append(found[u], address)
		}
	}
}

// Block implements tenant.Clients.
func (c *Cluster) Block(ctx context.Context, at tenant.Place, addresses []string) error {
	for _, address := range addresses {
		err := c.ask(ctx, at, nil, map[string]any{
			"prefix": "osd blocklist", "blocklistop": "add", "addr": address, "expire": blockFor,
		})
		if err != nil {
			return fmt.Errorf("%s: %w", address, err)
		}
	}
	return nil
}
