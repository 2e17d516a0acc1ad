package checkup

import (
	"context"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	core "k8s.io/client-go/testing"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

const home = "sdp-csi"

// installation is a cluster with a driver that is well.
type installation struct {
	csi        *storagev1.CSIDriver
	controller *appsv1.Deployment
	node       *appsv1.DaemonSet
	pod        *corev1.Pod
	class      *storagev1.StorageClass
	secret     *corev1.Secret
	golden     error
	registered *storagev1.CSINode
	snapshots  []string // the types that the cluster has
}

func meta(name, component string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: home, Labels: map[string]string{"app.kubernetes.io/part-of": "sdp-csi", componentLabel: component}}
}

func well() *installation {
	yes, no, two := true, false, int32(2)
	return &installation{
		csi: &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: driverName}, Spec: storagev1.CSIDriverSpec{
			PodInfoOnMount: &yes, AttachRequired: &no,
			VolumeLifecycleModes: []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecyclePersistent, storagev1.VolumeLifecycleEphemeral},
		}},
		controller: &appsv1.Deployment{ObjectMeta: meta("sdp-controller", "controller"), Spec: appsv1.DeploymentSpec{Replicas: &two}, Status: appsv1.DeploymentStatus{ReadyReplicas: 2}},
		node:       &appsv1.DaemonSet{ObjectMeta: meta("sdp-node", "node"), Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: 1, NumberReady: 1}},
		pod: &corev1.Pod{ObjectMeta: meta("sdp-node-x", "node"), Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			{Name: "sdp-csi", Ready: true}, {Name: "registrar", Ready: true}}}},
		class: &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "sdp-golden"}, Provisioner: driverName, Parameters: map[string]string{
			"golden": "public/m:v1", secretName: "sdp-node-${pvc.namespace}", secretNamespace: home}},
		registered: &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{Name: driverName}}}},
		snapshots:  []string{"volumesnapshots", "volumesnapshotcontents", "volumesnapshotclasses"},
		secret:     &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "sdp-node-acme", Namespace: home}, Data: map[string][]byte{"userID": []byte("a"), "userKey": []byte("topsecret")}},
	}
}

func (i *installation) run(t *testing.T) []Finding {
	t.Helper()
	client := fake.NewClientset(i.csi, i.controller, i.node, i.pod, i.class, i.secret, i.registered,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acme"}}, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system"}})
	for n, name := range i.snapshots {
		if n == 0 {
			client.Resources = []*metav1.APIResourceList{{GroupVersion: snapshotTypes}}
		}
		client.Resources[0].APIResources = append(client.Resources[0].APIResources, metav1.APIResource{Name: name})
	}
	return Run(t.Context(), i.options(client))
}

func (i *installation) options(client *fake.Clientset) Options {
	return Options{
		Client: client, Namespace: home,
		Golden: func(_ context.Context, _ string, b volume.Backend, _ volume.GoldenRef) error {
			if i.golden == nil && b != volume.RBD {
				return fmt.Errorf("the golden is not in backend %s: %w", b, volume.ErrInvalid)
			}
			return i.golden
		},
		Fields: func(_ context.Context, namespace string) (map[string]string, error) {
			if namespace != "acme" {
				return nil, fmt.Errorf("namespace %s was asked for", namespace)
			}
			return map[string]string{"userID": "a", "userKey": "topsecret"}, nil
		},
	}
}

func TestAGoodInstallationHasNoFault(t *testing.T) {
	all := well().run(t)
	for _, f := range all {
		if f.Level != OK {
			t.Errorf("%+v", f)
		}
	}
	if len(all) != 7 {
		t.Errorf("%d findings: %+v", len(all), all)
	}
}

func TestEachFaultHasARemedy(t *testing.T) {
	no, yes := false, true
	faults := map[string]struct {
		spoil func(*installation)
		level Level
		says  string
	}{
		"no CSIDriver":       {func(i *installation) { i.csi.Name = "other" }, Failed, "not found"},
		"no pod information": {func(i *installation) { i.csi.Spec.PodInfoOnMount = &no }, Failed, "kubelet does not tell"},
		"attaching":          {func(i *installation) { i.csi.Spec.AttachRequired = &yes }, Failed, "waits for an attachment"},
		"no inline volumes":  {func(i *installation) { i.csi.Spec.VolumeLifecycleModes = nil }, Warning, "inline volumes are refused"},
		"a replica less":     {func(i *installation) { i.controller.Status.ReadyReplicas = 1 }, Failed, "1 of 2 pods"},
		"no controller":      {func(i *installation) { i.controller.Labels = nil }, Failed, "=controller is in namespace"},
		"no node":            {func(i *installation) { i.node.Status = appsv1.DaemonSetStatus{} }, Failed, "no pod of it is wanted"},
		"no snapshot types":  {func(i *installation) { i.snapshots = nil }, Failed, "not found"},
		"a type less":        {func(i *installation) { i.snapshots = i.snapshots[:2] }, Failed, "volumesnapshotclasses"},
		"another backend":    {func(i *installation) { i.class.Parameters["backend"] = "cephfs" }, Failed, "not in backend cephfs"},
		"an unknown driver":  {func(i *installation) { i.registered.Spec.Drivers[0].Name = "other" }, Failed, "0 of 1 that have a pod"},
		"a sidecar that ends": {func(i *installation) {
			i.pod.Status.ContainerStatuses[1] = corev1.ContainerStatus{Name: "registrar", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}}
		}, Failed, "CrashLoopBackOff"},
		"a class without keys": {func(i *installation) { delete(i.class.Parameters, secretName) }, Failed, "cannot be staged"},
		"a class of no golden": {func(i *installation) { i.class.Parameters["golden"] = "m" }, Failed, "name:version"},
		"an unsealed golden":   {func(i *installation) { i.golden = fmt.Errorf("golden is not sealed: %w", volume.ErrNotFound) }, Failed, "not sealed"},
		"no class":             {func(i *installation) { i.class.Provisioner = "other" }, Warning, "no class"},
		"no Secret":            {func(i *installation) { i.secret.Name = "other" }, Failed, "sdp-csi/sdp-node-acme"},
		"an old Secret":        {func(i *installation) { i.secret.Data["userKey"] = []byte("older") }, Failed, "field userKey"},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			i := well()
			fault.spoil(i)
			found := 0
			for _, f := range i.run(t) {
				if f.Level == OK {
					continue
				}
				found++
				if f.Level != fault.level || !strings.Contains(f.Says, fault.says) || f.Fix == "" {
					t.Errorf("%+v, want %s with %q and a remedy", f, fault.level, fault.says)
				}
				if strings.Contains(f.Says+f.Fix, "topsecret") || strings.Contains(f.Says+f.Fix, "older") {
					t.Errorf("a key is in %+v", f)
				}
			}
			if found != 1 {
				t.Errorf("%d faults found, want 1", found)
			}
		})
	}
}

func TestWhatMayNotBeAskedIsSkipped(t *testing.T) {
	client := fake.NewClientset()
	client.PrependReactor("*", "*", func(a core.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: a.GetResource().Resource}, "", nil)
	})
	for _, f := range Run(t.Context(), well().options(client)) {
		if f.Level != Skipped || f.Fix == "" {
			t.Errorf("%+v, want it skipped", f)
		}
	}
}
