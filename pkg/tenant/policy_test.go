package tenant

import (
	"errors"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

const onePool = "clusters:\n- id: main\n  monitors: [\"10.0.0.1:3300\"]\n  pool: rbd\n"

// lookAlikes are names that are nearly «acme» or nearly in «acme-*».
var lookAlikes = []string{
	"acme-", "-acme", "acme.x", "acme.", "acme/", "acme x", "acme\x00", "acme\n", "Acme", "ACME",
	"аcme",       // a Cyrillic а
	"acmе",       // a Cyrillic е
	"ａcme",       // a full-width a
	"acme\u200b", // a zero-width space
	"acme\u0301", // a combining accent
	"acme-.x", "acme-/x", "acme-x/../y", "acme-\xff",
	"acme-" + strings.Repeat("a", 248), // 253 bytes
	strings.Repeat("a", 64),
}

// TestLookAlikes checks that nothing which is nearly a tenant's namespace is
// let in as one, by a name, a pattern or `auto`.
func TestLookAlikes(t *testing.T) {
	policies := map[string]string{
		"named":   onePool + "tenants:\n- name: acme\n  namespaces: [acme]\n",
		"pattern": onePool + "tenants:\n- name: acme\n  namespaces: [acme, acme-*, \"*\"]\n",
		"auto":    onePool + "auto: true\n",
	}
	for name, text := range policies {
		p := mustParse(t, text)
		for _, ns := range lookAlikes {
			if at, err := p.Admit(ns, ""); !errors.Is(err, volume.ErrDenied) {
				t.Errorf("%s: Admit(%q) = %s, %v; want volume.ErrDenied", name, ns, at, err)
			}
			id := volume.NewID(volume.RBD, "main", "acme", "x")
			if err := p.CheckPod(id, ns); !errors.Is(err, volume.ErrDenied) {
				t.Errorf("%s: CheckPod(%q) = %v; want volume.ErrDenied", name, ns, err)
			}
		}
		if at, err := p.Admit("acme", ""); err != nil || at.Tenant() != "acme" {
			t.Errorf("%s: Admit(acme) = %s, %v", name, at, err)
		}
	}
}

func TestAdmit(t *testing.T) {
	text := onePool + `tenants:
- name: acme
  namespaces: [acme, "team-?", "acme-*"]
- name: globex
  namespaces: [acme-special, "team-*"]
auto: true
`
	long := strings.Repeat("n", 63)
	tests := map[string]struct {
		namespace, want string
		err             error
	}{
		"name":                       {"acme", "acme", nil},
		"pattern":                    {"acme-one", "acme", nil},
		"a name wins over a pattern": {"acme-special", "globex", nil},
		"the first pattern wins":     {"team-1", "acme", nil},
		"the other pattern":          {"team-12", "globex", nil},
		"auto":                       {"initech", "initech", nil},
		"auto, cut and hashed":       {long, "nnnnnnnnnnn-" + volume.Hash(long)[:20], nil},
		"auto, looks hashed":         {"x-0123456789abcdef0123", "x-012345678-" + volume.Hash("x-0123456789abcdef0123")[:20], nil},
		"a tenant's name unlisted":   {"globex", "", volume.ErrDenied},
		"none":                       {"", "", volume.ErrInvalid},
	}
	p := mustParse(t, text)
	for name, tt := range tests {
		at, err := p.Admit(tt.namespace, "")
		if !errors.Is(err, tt.err) || (err == nil && at.Tenant() != tt.want) {
			t.Errorf("%s: Admit(%q) = %s, %v; want %s, %v", name, tt.namespace, at, err, tt.want, tt.err)
		}
	}
}

func TestAdmitCluster(t *testing.T) {
	two := mustParse(t, onePool+"- id: other\n  monitors: [\"10.0.0.2:3300\"]\n  pool: rbd\ntenants:\n- name: acme\n  namespaces: [acme]\n")
	tests := map[string]struct {
		cluster string
		err     error
	}{"named": {"other", nil}, "not named": {"", volume.ErrInvalid}, "unknown": {"third", volume.ErrInvalid}}
	for name, tt := range tests {
		if at, err := two.Admit("acme", tt.cluster); !errors.Is(err, tt.err) || (err == nil && at.Cluster().ID != tt.cluster) {
			t.Errorf("%s: Admit(acme, %q) = %s, %v; want %v", name, tt.cluster, at, err, tt.err)
		}
	}
}

// FuzzTenantOf checks that namespaces of different names never share a tenant
// by `auto`, and that every tenant's name is one.
func FuzzTenantOf(f *testing.F) {
	for _, ns := range lookAlikes {
		f.Add(ns, "acme")
	}
	f.Add(strings.Repeat("n", 63), strings.Repeat("n", 11)+"-"+volume.Hash(strings.Repeat("n", 63))[:20])
	f.Add("a-00000000000000000000", "a-0000000000-00000000000000000000")
	p, err := Parse([]byte(onePool + "auto: true\n"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		ta, errA := p.tenantOf(a)
		tb, errB := p.tenantOf(b)
		if errA == nil && !volume.IsName(ta, volume.MaxTenantName) {
			t.Fatalf("tenantOf(%q) = %q", a, ta)
		}
		if errA == nil && errB == nil && a != b && ta == tb {
			t.Fatalf("%q and %q are both tenant %q", a, b, ta)
		}
	})
}

func TestGolden(t *testing.T) {
	p := mustParse(t, goodPolicy)
	ref := func(s string) volume.GoldenRef {
		r, err := volume.ParseGoldenRef(s)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	tests := map[string]struct {
		tenant, ref, want string
		err               error
	}{
		"own":                    {"acme", "x:v1", "acme", nil},
		"own by name":            {"acme", "acme/x:v1", "acme", nil},
		"granted":                {"acme", "public/resnet50:v1", "public", nil},
		"another version":        {"acme", "public/resnet50:v2", "", volume.ErrDenied},
		"a longer version":       {"acme", "public/resnet50:v1.0", "", volume.ErrDenied},
		"another name":           {"acme", "public/resnet5:v1", "", volume.ErrDenied},
		"granted to all":         {"acme", "public/base:v7", "public", nil},
		"granted to all, public": {"public", "public/base:v7", "public", nil},
		"not granted back":       {"public", "acme/x:v1", "", volume.ErrDenied},
		"an unknown tenant's":    {"acme", "nobody/x:v1", "", volume.ErrDenied},
	}
	for name, tt := range tests {
		at, err := p.Default(tt.tenant, "")
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Golden(at, ref(tt.ref))
		if !errors.Is(err, tt.err) || (err == nil && got.Tenant() != tt.want) {
			t.Errorf("%s: Golden(%s, %s) = %s, %v; want %s, %v", name, tt.tenant, tt.ref, got, err, tt.want, tt.err)
		}
	}
}

// TestForgedIDs checks what an ID edited to name another tenant, another
// cluster or nothing at all leads to.
func TestForgedIDs(t *testing.T) {
	p := mustParse(t, goodPolicy)
	own := volume.NewID(volume.RBD, "main", "acme", "x")
	other, gone, nowhere := own, own, own
	other.Tenant, gone.Tenant, nowhere.Cluster = "public", "initech", "third"
	at, err := p.Open(own)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Source(at, other); !errors.Is(err, volume.ErrDenied) {
		t.Errorf("Source of another tenant: %v", err)
	}
	if _, err := p.Open(gone); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("Open of an unknown tenant: %v", err)
	}
	if _, err := p.Open(nowhere); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("Open of an unknown cluster: %v", err)
	}
	if _, err := p.Release(nowhere); !errors.Is(err, volume.ErrInUse) {
		t.Errorf("Release of an unknown cluster: %v", err)
	}
	if released, err := p.Release(gone); err != nil || released.Namespace() != "initech" {
		t.Errorf("Release of a tenant that has gone: %s, %v", released, err)
	}
	if err := p.CheckPod(other, "acme"); !errors.Is(err, volume.ErrDenied) {
		t.Errorf("CheckPod of another tenant's volume: %v", err)
	}
	if err := p.CheckPod(own, "acme-x"); err != nil {
		t.Errorf("CheckPod of the tenant's own volume: %v", err)
	}
}

func TestLimitsOf(t *testing.T) {
	p := mustParse(t, goodPolicy)
	tests := map[string]struct {
		want     Limits
		readOnly bool
	}{
		"acme":   {Limits{Volumes: 3, Bytes: 10 << 30, Largest: 4 << 30}, false},
		"public": {Limits{Volumes: 100}, true},
	}
	for name, tt := range tests {
		at, err := p.Default(name, "")
		if err != nil {
			t.Fatal(err)
		}
		if got := at.Limits(); got != tt.want || p.ReadOnlyNodes(at) != tt.readOnly {
			t.Errorf("Limits of %s: %+v, read-only nodes %t", name, got, p.ReadOnlyNodes(at))
		}
	}
}

// Inline volumes are for tenants whose row says so; defaults speak for those
// that `auto` makes.
func TestInline(t *testing.T) {
	p := mustParse(t, goodPolicy[:strings.Index(goodPolicy, "tenants:")]+
		"tenants:\n- {name: acme, namespaces: [acme], inline: true}\n- {name: public}\nauto: true\ndefaults: {inline: true}\n")
	for name, want := range map[string]bool{"acme": true, "public": false, "anybody": true} {
		at, err := p.Default(name, p.Clusters()[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if p.Inline(at) != want {
			t.Errorf("inline of %s: %t", name, !want)
		}
	}
}

func TestLimitsAdmit(t *testing.T) {
	l := Limits{Volumes: 2, Bytes: 100, Largest: 60}
	tests := map[string]struct {
		limits        Limits
		size          int64
		before, after Usage
		want          error
	}{
		"fits":                    {l, 60, Usage{1, 40}, Usage{2, 100}, nil},
		"one too large":           {l, 61, Usage{}, Usage{1, 61}, volume.ErrNoSpace},
		"one too many":            {l, 1, Usage{2, 2}, Usage{3, 3}, volume.ErrNoSpace},
		"too many bytes":          {l, 60, Usage{1, 50}, Usage{2, 110}, volume.ErrNoSpace},
		"less than before, over":  {l, 10, Usage{3, 200}, Usage{3, 150}, nil},
		"no limits":               {Limits{}, 1 << 50, Usage{9, 9}, Usage{10, 1 << 50}, nil},
		"the same again, at full": {l, 50, Usage{2, 100}, Usage{2, 100}, nil},
	}
	for name, tt := range tests {
		if err := tt.limits.Admit(tt.size, tt.before, tt.after); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if !(Limits{InlinePerNode: new(int64)}).IsZero() {
		t.Error("a limit of inline volumes limits volumes")
	}
	if left := l.Left(Usage{1, 30}, 1000); left != 70 {
		t.Errorf("Left = %d, want 70", left)
	}
	if left := l.Left(Usage{1, 30}, 50); left != 50 {
		t.Errorf("Left with little space = %d, want 50", left)
	}
	if left := l.Left(Usage{2, 30}, 1000); left != 0 {
		t.Errorf("Left with all volumes used = %d, want 0", left)
	}
}

func TestLimitsAdmitInline(t *testing.T) {
	tests := map[string]struct {
		text   string
		others int
		want   error
	}{
		"left out":       {"volumes: 1", DefaultInlinePerNode - 1, nil},
		"left out, over": {"volumes: 1", DefaultInlinePerNode, volume.ErrNoSpace},
		"fits":           {"inlinePerNode: 2", 1, nil},
		"over":           {"inlinePerNode: 2", 2, volume.ErrNoSpace},
		"lowered since":  {"inlinePerNode: 2", 9, volume.ErrNoSpace},
		"no limit":       {"inlinePerNode: 0", 1 << 20, nil},
	}
	for name, tt := range tests {
		p := mustParse(t, goodPolicy[:strings.Index(goodPolicy, "tenants:")]+"tenants:\n- {name: acme, limits: {"+tt.text+"}}\n")
		if err := p.TenantLimits("acme").AdmitInline(tt.others); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

func TestParseBytes(t *testing.T) {
	tests := map[string]Bytes{"0": 0, "1024": 1024, "1Ki": 1 << 10, "100Gi": 100 << 30, "1.5Ti": 3 << 39, "1Pi": 1 << 50, "-1Gi": -1 << 30}
	for text, want := range tests {
		if got, err := parseBytes(text); err != nil || got != want {
			t.Errorf("parseBytes(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "Gi", "1G", "1 Gi", "NaNGi", "InfGi", "1e300", "0x10"} {
		if got, err := parseBytes(text); err == nil {
			t.Errorf("parseBytes(%q) = %d, want an error", text, got)
		}
	}
}
