package checkup

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sdp "github.com/sdp-csi/sdp-csi/pkg/kubernetes"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The parameters of a class that lead to the tenant's key.
const (
	secretName      = "csi.storage.k8s.io/node-stage-secret-name"
	secretNamespace = "csi.storage.k8s.io/node-stage-secret-namespace"
	template        = "${pvc.namespace}"
)

func (c *checkup) classes(ctx context.Context) {
	list, err := c.Client.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{})
	if err != nil {
		c.Unanswered("StorageClasses", manifests, sdp.Classify(err))
		return
	}
	own := 0
	for _, class := range list.Items {
		if class.Provisioner == driverName {
			own++
			c.class(ctx, class)
		}
	}
	if own == 0 {
		c.Doubt("StorageClasses", "apply deploy/kubernetes/classes with the names of your goldens", "no class has the provisioner %s", driverName)
	}
}

func (c *checkup) class(ctx context.Context, class storagev1.StorageClass) {
	check, p := "StorageClass "+class.Name, class.Parameters
	if !strings.Contains(p[secretName], template) || p[secretNamespace] == "" {
		c.Bad(check, "make it again with "+secretName+": sdp-node-"+template+" and "+secretNamespace+": "+c.Namespace,
			"its volumes cannot be staged: it does not lead to the tenant's key")
		return
	}
	if p["golden"] == "" {
		c.Good(check, "leads to the tenants' keys")
		return
	}
	ref, err := volume.ParseGoldenRef(p["golden"])
	// Without a tenant it is another golden for each claim's tenant.
	if err == nil && ref.Tenant != "" && c.Golden != nil {
		err = c.Golden(ctx, p["cluster"], volume.Backend(cmp.Or(p["backend"], string(volume.RBD))), ref)
	}
	if err != nil {
		c.Bad(check, "name a sealed golden in its parameter golden, and that golden's backend; or delete the class", "%s", err.Error())
		return
	}
	c.Good(check, "leads to the tenants' keys, and its golden %s can be used", ref)
}

// secrets compares each namespace's Secret with the tenant's keys.
func (c *checkup) secrets(ctx context.Context) {
	if c.Fields == nil {
		return
	}
	list, err := c.Client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		c.Unanswered("namespaces", "", sdp.Classify(err))
		return
	}
	for _, n := range list.Items {
		if n.DeletionTimestamp == nil && n.Name != c.Namespace && !strings.HasPrefix(n.Name, "kube-") {
			c.secret(ctx, n.Name)
		}
	}
}

// refresh is the remedy for a Secret that is missing or old.
const refresh = "wait half a minute for sdp-csi --mode=tenants where it runs, and look at its log; else `sdpctl tenant secret TENANT --secret-namespace NAMESPACE | kubectl apply -f -`"

func (c *checkup) secret(ctx context.Context, namespace string) {
	check := "Secret of namespace " + namespace
	fields, err := c.Fields(ctx, namespace)
	if err != nil {
		c.Unanswered(check, "run `sdpctl tenant create`, or --mode=tenants", err)
		return
	}
	if len(fields) == 0 {
		return
	}
	name := "sdp-node-" + namespace
	s, err := c.Client.CoreV1().Secrets(c.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		c.Unanswered(check, refresh, fmt.Errorf("%s/%s: %w", c.Namespace, name, sdp.Classify(err)))
		return
	}
	if field := differing(fields, s.Data); field != "" {
		c.Bad(check, refresh, "%s/%s is not current: field %s", c.Namespace, name, field)
		return
	}
	c.Good(check, "%s/%s is current", c.Namespace, name)
}

// differing names a field that is not as it should be.
func differing(want map[string]string, has map[string][]byte) string {
	for field, value := range want {
		if string(has[field]) != value {
			return field
		}
	}
	return ""
}
