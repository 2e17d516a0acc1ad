//go:build e2e

package e2e

import (
	"fmt"
	"testing"

	"github.com/sdp-csi/sdp-csi/tests/cluster"
)

// inline is the volume of a golden without a claim.
func inline(golden string) string {
	return fmt.Sprintf("csi: {driver: %s, readOnly: true, volumeAttributes: {golden: %q}, nodePublishSecretRef: {name: sdp-ro}}", cluster.DriverName, golden)
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
// and a tenant that may gets no other tenant's golden.
func (s *scene) forgedInline(t *testing.T) {
	for name, c := range map[string]struct{ namespace, golden string }{
		"not allowed": {"globex", "acme/resnet50:v1"},
		"not granted": {"acme", "globex/anything:v1"},
	} {
		t.Run(name, func(t *testing.T) {
			thief := "inline-thief-" + c.namespace
			cluster.Start(t, cluster.Function{Namespace: c.namespace, Name: thief, Volume: inline(c.golden)})
			t.Log(cluster.Event(t, c.namespace, thief, "MountVolume"))
			s.neverRan(t, c.namespace, thief)
		})
	}
}
