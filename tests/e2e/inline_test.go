//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/tests/cluster"
)

// inline is the volume of a golden without a claim. More attributes are in
// YAML's flow style.
func inline(golden string, more ...string) string {
	attributes := strings.Join(append([]string{fmt.Sprintf("golden: %q", golden)}, more...), ", ")
	return fmt.Sprintf("csi: {driver: %s, readOnly: true, volumeAttributes: {%s}, nodePublishSecretRef: {name: sdp-ro}}", cluster.DriverName, attributes)
}

// withoutClaim: a pod names the golden itself, its own tenant's and one that
// another tenant grants.
func (s *scene) withoutClaim(t *testing.T) {
	for name, golden := range map[string]string{"own": "resnet50:v1", "granted": "public/resnet50:v2"} {
		t.Run(name, func(t *testing.T) {
			cluster.Ready(t, cluster.Function{Namespace: "acme", Name: "inline-" + name, Volume: inline(golden)})
			s.readsModel(t, "acme", "inline-"+name)
		})
	}
}

// forgedInline: a pod of a tenant that may have no inline volumes gets nothing,
// also with the Secret of one that may, and a tenant that may gets no golden
// that is another's, whatever its manifest says of tenants.
func (s *scene) forgedInline(t *testing.T) {
	s.seedWords(t)
	copySecret(t, "sdp-ro", "acme", "globex")
	for name, c := range map[string]struct {
		namespace, golden string
		more              []string
		words             []string
	}{
		"not allowed": {"globex", "acme/resnet50:v1", nil, []string{
			"PermissionDenied", "tenant globex may not have inline volumes", "`inline: true`", "use a claim"}},
		"another namespace told": {"globex", "resnet50:v1", []string{"csi.storage.k8s.io/pod.namespace: acme"}, []string{
			"PermissionDenied", "tenant globex may not have inline volumes"}},
		"not granted": {"acme", "globex/dictionary:v1", nil, []string{
			"PermissionDenied", "tenant acme may not use golden globex/dictionary:v1", "grant it in the policy file"}},
		"golden of the tenant told": {"acme", "dictionary:v1", []string{"csi.storage.k8s.io/pod.namespace: globex"}, []string{
			"PermissionDenied", "no key of golden acme/dictionary:v1", "sdpctl golden show acme/dictionary:v1"}},
		"a tenant told": {"acme", "dictionary:v1", []string{"tenant: globex"}, []string{
			"InvalidArgument", `volumeAttribute "tenant" is not known`}},
	} {
		t.Run(name, func(t *testing.T) {
			thief := "inline-thief-" + dashed(name)
			cluster.Start(t, cluster.Function{Namespace: c.namespace, Name: thief, Volume: inline(c.golden, c.more...)})
			t.Log(cluster.Event(t, c.namespace, thief, append(c.words, "MountVolume")...))
			s.neverRan(t, c.namespace, thief)
		})
	}
}

// copySecret is what somebody does who may read one namespace's Secrets and
// write another's.
func copySecret(t testing.TB, name, from, to string) {
	t.Helper()
	data := cluster.Kubectl(t, "-n", from, "get", "secret", name, "-o", "jsonpath={.data}")
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, fmt.Appendf(nil, "{apiVersion: v1, kind: Secret, metadata: {namespace: %s, name: %s}, data: %s}", to, name, data), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.Kubectl(t, "-n", to, "delete", "secret", name) })
	cluster.Kubectl(t, "apply", "-f", file)
}
