package main

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
)

func TestTenantLife(t *testing.T) {
	d := newDesk(t)
	d.must("tenant", "create", "acme")
	d.must("golden", "import", "--tenant", "acme", "resnet50:v1", d.model)
	if out := d.must("tenant", "create", "globex", "-o", "json"); !strings.Contains(out, "client.sdp.globex.ro.1") {
		t.Errorf("create: %s", out)
	}
	var st tenantStanding
	if err := json.Unmarshal([]byte(d.must("tenant", "show", "globex", "-o", "json")), &st); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(st.Granted, []string{"acme/resnet50:v1"}) || !slices.Equal(st.Users, []string{"client.sdp.globex.ro.1", "client.sdp.globex.rw.1"}) {
		t.Errorf("show: %+v", st)
	}
	d.must("tenant", "rotate", "globex")
	d.ceph.Connect(tenant.User{Tenant: "globex", Role: tenant.Reader, Generation: 1}, "10.0.0.9:0/1")
	if _, stderr, code := d.run("tenant", "rotate", "globex", "--finish"); code != exitInUse || !strings.Contains(stderr, "client.sdp.globex.ro.1") {
		t.Errorf("rotate --finish with a client: %d, %s", code, stderr)
	}
	if out := d.must("tenant", "revoke", "globex", "-o", "yaml"); out != "clients: 1\ntenant: globex\n" {
		t.Errorf("revoke: %s", out)
	}
	if _, _, code := d.run("tenant", "secret", "globex"); code != exitNotFound {
		t.Errorf("secret of a revoked tenant: code %d", code)
	}
	if _, stderr, code := d.run("tenant", "delete", "acme"); code != exitInUse || !strings.Contains(stderr, "resnet50:v1") {
		t.Errorf("delete with a golden: %d, %s", code, stderr)
	}
	d.must("tenant", "delete", "globex")
}

func TestTenantSecret(t *testing.T) {
	d := newDesk(t)
	text := strings.Replace(policy, "namespaces: [globex]", `namespaces: [globex, globex-eu, "globex-*"]`, 1)
	if err := os.WriteFile(d.policy, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d.must("tenant", "create", "acme")
	d.must("golden", "import", "--tenant", "acme", "resnet50:v1", d.model)
	d.must("tenant", "create", "globex")
	all := strings.Split(d.must("tenant", "secret", "globex"), "---\n")
	if len(all) != 2 {
		t.Fatalf("%d Secrets, want one for each namespace that is named in full", len(all))
	}
	var m manifest
	if err := yaml.UnmarshalStrict([]byte(all[1]), &m); err != nil {
		t.Fatal(err)
	}
	if m.Metadata.Name != "sdp-node-globex-eu" || m.Metadata.Namespace != "globex-eu" || m.Kind != "Secret" {
		t.Errorf("Secret %+v", m.Metadata)
	}
	for field, user := range map[string]string{"userID": "sdp.globex.ro.1", "writerID": "sdp.globex.rw.1"} {
		if m.StringData[field] != user {
			t.Errorf("%s is %q, want %s", field, m.StringData[field], user)
		}
	}
	if got := m.StringData["golden.acme.resnet50.v1"]; !strings.HasPrefix(got, "sdp.golden.acme.resnet50.v1.1:") {
		t.Error("the golden's reader is not in the Secret")
	}
	for namespace, want := range map[string]int{"globex-us": exitOK, "acme": exitDenied, "globexeu": exitDenied, "globex-": exitDenied} {
		if _, _, code := d.run("tenant", "secret", "globex", "--namespace", namespace); code != want {
			t.Errorf("Secret for namespace %s: code %d, want %d", namespace, code, want)
		}
	}
}

// The Secret for inline volumes has no writing key, and is for tenants that may
// have it.
func TestTenantSecretInline(t *testing.T) {
	d := newDesk(t)
	d.must("tenant", "create", "globex")
	if _, stderr, code := d.run("tenant", "secret", "globex", "--inline"); code != exitDenied || !strings.Contains(stderr, "inline: true") {
		t.Errorf("without a right: %d, %s", code, stderr)
	}
	text := strings.Replace(policy, "namespaces: [globex]", "namespaces: [globex], inline: true", 1)
	if err := os.WriteFile(d.policy, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var m manifest
	if err := yaml.UnmarshalStrict([]byte(d.must("tenant", "secret", "globex", "--inline")), &m); err != nil {
		t.Fatal(err)
	}
	if m.Metadata.Name != "sdp-ro" || m.Metadata.Namespace != "globex" || m.StringData["userID"] != "sdp.globex.ro.1" {
		t.Errorf("Secret %+v", m.Metadata)
	}
	if m.StringData["writerID"] != "" || m.StringData["writerKey"] != "" {
		t.Error("it has a writing key")
	}
	if _, _, code := d.run("tenant", "secret", "globex", "--inline", "--secret-namespace", "sdp-csi"); code != exitUsage {
		t.Errorf("in another namespace: code %d", code)
	}
}

func TestTenantList(t *testing.T) {
	d := newDesk(t)
	if out := d.must("tenant", "list"); !strings.Contains(out, "globex  globex      acme/*") {
		t.Errorf("list:\n%s", out)
	}
	if _, _, code := d.run("tenant", "show", "nobody"); code != exitNotFound {
		t.Errorf("show of nobody: code %d", code)
	}
	if _, _, code := d.run("tenant", "create"); code != exitUsage {
		t.Errorf("create of nothing: code %d", code)
	}
}
