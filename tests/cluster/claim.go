package cluster

import (
	"cmp"
	"fmt"
	"strings"
	"testing"
)

// Claim is a PersistentVolumeClaim.
type Claim struct {
	Namespace, Name, Class string
	Mode                   string // of access; ReadOnlyMany if empty
	Size                   string // 1Gi if empty
	Source                 string // kind/name of what it is made of
	Block                  bool
}

func (c Claim) String() string {
	var extra strings.Builder
	if kind, name, ok := strings.Cut(c.Source, "/"); ok {
		group := ""
		if kind == "VolumeSnapshot" {
			group = "apiGroup: snapshot.storage.k8s.io, "
		}
		fmt.Fprintf(&extra, "  dataSource: {%skind: %s, name: %s}\n", group, kind, name)
	}
	if c.Block {
		extra.WriteString("  volumeMode: Block\n")
	}
	return fmt.Sprintf(`apiVersion: v1
kind: PersistentVolumeClaim
metadata: {namespace: %s, name: %s}
spec:
  storageClassName: %s
  accessModes: [%s]
  resources: {requests: {storage: %s}}
%s`, c.Namespace, c.Name, c.Class, cmp.Or(c.Mode, "ReadOnlyMany"), cmp.Or(c.Size, "1Gi"), extra.String())
}

// Of is the volume of a claim, in YAML's flow style.
func Of(claim string) string {
	return "persistentVolumeClaim: {claimName: " + claim + "}"
}

// Bound makes claims and waits until each has its volume.
func Bound(t testing.TB, claims ...Claim) {
	t.Helper()
	manifests, names := make([]string, len(claims)), make([]string, len(claims))
	for i, c := range claims {
		manifests[i], names[i] = c.String(), "pvc/"+c.Name
	}
	Apply(t, manifests...)
	WaitFor(t, claims[0].Namespace, "jsonpath={.status.phase}=Bound", names...)
}
