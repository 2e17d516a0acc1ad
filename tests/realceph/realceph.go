package realceph

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
)

// Ceph is the Ceph of a test, with its admin's key.
type Ceph struct {
	t   testing.TB
	dir string
}

// New returns the Ceph that SDP_CEPH names. Without one the test fails, unless
// SDP_SKIP_CEPH=1 says to skip it.
func New(t testing.TB) *Ceph {
	t.Helper()
	dir := os.Getenv("SDP_CEPH")
	switch {
	case dir != "":
		return &Ceph{t: t, dir: dir}
	case os.Getenv("SDP_SKIP_CEPH") == "1":
		t.Skip("SDP_SKIP_CEPH=1: this test needs a real Ceph")
	}
	t.Fatal("this test needs a real Ceph: run make test, or set SDP_CEPH to a directory of hack/ceph up")
	return nil
}

// Policy returns a policy whose one cluster, «test», is the real Ceph with a
// fresh pool and the admin's key, and which has the tenants named, each with
// the Kubernetes namespace of its name. A tenant can be written with goldens
// that it may use: acme=public/*,globex/m:v1. The pool goes with the test.
func Policy(t testing.TB, tenants ...string) *tenant.Policy {
	t.Helper()
	return New(t).Policy(tenants...)
}

// Policy is the function Policy on c.
func (c *Ceph) Policy(tenants ...string) *tenant.Policy {
	c.t.Helper()
	names := make([]string, len(tenants))
	rows := make([]string, len(tenants))
	for i, row := range tenants {
		name, goldens, _ := strings.Cut(row, "=")
		names[i] = name
		rows[i] = fmt.Sprintf("{name: %s, namespaces: [%s], goldens: [%s]}", name, name, quoteAll(goldens))
	}
	text := fmt.Sprintf("clusters: [%s]\ntenants: [%s]\n", c.Cluster("test", c.Pool(names...)), strings.Join(rows, ", "))
	policy, err := tenant.Parse([]byte(text))
	if err != nil {
		c.t.Fatalf("policy: %v\n%s", err, text)
	}
	return policy
}

func quoteAll(list string) string {
	if list == "" {
		return ""
	}
	return "\"" + strings.ReplaceAll(list, ",", "\", \"") + "\""
}

// Cluster returns the policy file's row of the real Ceph as cluster id with a
// pool, in YAML's flow style.
func (c *Ceph) Cluster(id, pool string) string {
	c.t.Helper()
	return fmt.Sprintf("{id: %s, monitors: [%s], pool: %s, user: admin, keyFile: %q}",
		id, quoteAll(strings.Join(c.Monitors(), ",")), pool, c.KeyFile(c.AdminKey()))
}

// Pool makes a pool with the tenants' namespaces, which goes with the test.
func (c *Ceph) Pool(tenants ...string) string {
	c.t.Helper()
	pool := "test-" + strings.ToLower(rand.Text()[:10])
	c.Admin("osd", "pool", "create", pool, "8", "8")
	c.t.Cleanup(func() { c.Admin("osd", "pool", "delete", pool, pool, "--yes-i-really-really-mean-it") })
	c.RBD("pool", "init", pool)
	for _, name := range tenants {
		c.RBD("namespace", "create", pool+"/"+name)
	}
	return pool
}

// Monitors returns the monitors' messenger v2 addresses.
func (c *Ceph) Monitors() []string {
	c.t.Helper()
	conf, err := os.ReadFile(c.Conf())
	if err != nil {
		c.t.Fatal(err)
	}
	// What stands behind v2: in a line like mon_host = [v2:IP:PORT,v1:IP:PORT]
	v2 := regexp.MustCompile(`v2:([^,/]+:[0-9]+)`)
	var all []string
	for line := range strings.Lines(string(conf)) {
		if !strings.HasPrefix(strings.TrimSpace(line), "mon_host") {
			continue
		}
		for _, m := range v2.FindAllStringSubmatch(line, -1) {
			all = append(all, m[1])
		}
	}
	if len(all) == 0 {
		c.t.Fatalf("%s has no mon_host with a v2 address", c.Conf())
	}
	return all
}

// Conf returns the path of the Ceph's configuration file, with which any
// program of Ceph is its admin.
func (c *Ceph) Conf() string { return filepath.Join(c.dir, "ceph.conf") }

// AdminKey returns the base64 key of client.admin.
func (c *Ceph) AdminKey() string {
	c.t.Helper()
	keyring, err := os.ReadFile(filepath.Join(c.dir, "ceph.client.admin.keyring"))
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range strings.Lines(string(keyring)) {
		if name, key, _ := strings.Cut(line, "="); strings.TrimSpace(name) == "key" {
			return strings.TrimSpace(key)
		}
	}
	c.t.Fatal("the admin's keyring has no key")
	return ""
}

// Key returns the base64 key of an entity (client.admin).
func (c *Ceph) Key(entity string) string {
	c.t.Helper()
	return strings.TrimSpace(c.Admin("auth", "print-key", entity))
}

// User makes a cephx user, which goes with the test, and returns its key. Its
// name is without «client.»; caps are pairs like mon, allow r.
func (c *Ceph) User(name string, caps ...string) string {
	c.t.Helper()
	c.Admin(append([]string{"auth", "get-or-create", "client." + name}, caps...)...)
	c.t.Cleanup(func() { c.Admin("auth", "rm", "client."+name) })
	return c.Key("client." + name)
}

// KeyFile writes a key to a file as the policy's keyFile wants it.
func (c *Ceph) KeyFile(key string) string {
	c.t.Helper()
	path := filepath.Join(c.t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return path
}

// Admin runs Ceph's program `ceph` as admin and returns what it printed.
func (c *Ceph) Admin(args ...string) string {
	c.t.Helper()
	return c.run("ceph", args)
}

// RBD runs Ceph's program `rbd` as admin and returns what it printed.
func (c *Ceph) RBD(args ...string) string {
	c.t.Helper()
	return c.run("rbd", args)
}

// Rados runs Ceph's program `rados` as admin and returns what it printed.
func (c *Ceph) Rados(args ...string) string {
	c.t.Helper()
	return c.run("rados", args)
}

// patience bounds one program. Two busy cores can make a fast one slow.
const patience = 2 * time.Minute

// run does without the test's context, which has ended at cleanup.
func (c *Ceph) run(program string, args []string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append([]string{"-c", c.Conf()}, args...)...)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		c.t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, problem.String())
	}
	return out.String()
}
