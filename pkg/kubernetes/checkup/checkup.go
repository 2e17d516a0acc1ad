package checkup

import (
	"context"
	"slices"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	sdp "github.com/sdp-csi/sdp-csi/pkg/kubernetes"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Options are what an installation is compared with.
type Options struct {
	Client    kubernetes.Interface
	Namespace string // the driver's
	// Golden says whether a class's golden can be used in its cluster and
	// backend; an empty one is the default. nil: nobody is asked.
	Golden func(ctx context.Context, cluster string, backend volume.Backend, ref volume.GoldenRef) error
	// Fields are what the node Secret of a namespace is to hold; none for a
	// namespace of no tenant. nil: nobody is asked.
	Fields func(ctx context.Context, namespace string) (map[string]string, error)
}

const (
	area       = "kubernetes"
	driverName = "csi.sdp.dev"
	// manifests is the remedy for what is missing as a whole.
	manifests = "apply deploy/kubernetes"
)

// Run looks at everything.
func Run(ctx context.Context, o Options) []Finding {
	c := &checkup{Options: o, Findings: Findings{Area: area}}
	c.driver(ctx)
	c.snapshots()
	c.programs(ctx)
	c.classes(ctx)
	c.secrets(ctx)
	return c.All
}

type checkup struct {
	Options
	Findings
}

// driver looks at the CSIDriver object.
func (c *checkup) driver(ctx context.Context) {
	const check = "CSIDriver " + driverName
	d, err := c.Client.StorageV1().CSIDrivers().Get(ctx, driverName, metav1.GetOptions{})
	if err != nil {
		c.Unanswered(check, manifests, sdp.Classify(err))
		return
	}
	switch s := d.Spec; {
	case s.PodInfoOnMount == nil || !*s.PodInfoOnMount:
		c.Bad(check, "set podInfoOnMount: true", "kubelet does not tell whose pods are: all are refused, or none")
	case s.AttachRequired == nil || *s.AttachRequired:
		c.Bad(check, "delete the object and apply it again with attachRequired: false", "every pod waits for an attachment that nobody makes")
	case !slices.Contains(s.VolumeLifecycleModes, storagev1.VolumeLifecycleEphemeral):
		c.Doubt(check, "delete the object and apply it again with volumeLifecycleModes: [Persistent, Ephemeral]", "inline volumes are refused")
	default:
		c.Good(check, "is as it should be")
	}
}

// snapshotTypes are the cluster's to install, once for all drivers.
const snapshotTypes = "snapshot.storage.k8s.io/v1"

// snapshots looks for the types without which the sidecar csi-snapshotter does
// not run.
func (c *checkup) snapshots() {
	const check = "snapshot CRDs"
	const fix = "install the CRDs and the controller of kubernetes-csi/external-snapshotter, or leave csi-snapshotter out by a patch"
	list, err := c.Client.Discovery().ServerResourcesForGroupVersion(snapshotTypes)
	if err != nil {
		c.Unanswered(check, fix, sdp.Classify(err))
		return
	}
	for _, wanted := range []string{"volumesnapshots", "volumesnapshotcontents", "volumesnapshotclasses"} {
		if !slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == wanted }) {
			c.Bad(check, fix, "%s.%s is missing", wanted, snapshotTypes)
			return
		}
	}
	c.Good(check, "are there")
}
