package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Install applies deploy/kubernetes as it is, with this site's policy and keys,
// until the test ends, and waits until it serves.
func (s *Site) Install(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"config.yaml": s.policy("sdp", "/etc/sdp-csi/key"),
		"controller":  s.controllerKey(),
		"tenants":     s.tenantsKey(),
		"kustomization.yaml": `namespace: ` + DriverNamespace + `
resources: [kubernetes/overlays/dev, kubernetes/classes]
configMapGenerator: [{name: sdp-config, behavior: replace, files: [config.yaml]}]
generatorOptions: {disableNameSuffixHash: true}
secretGenerator: [{name: sdp-controller-key, files: [key=controller]}, {name: sdp-tenants-key, files: [key=tenants]}]
` + s.Kustomization,
	} {
		write(t, filepath.Join(dir, name), text)
	}
	if err := os.CopyFS(filepath.Join(dir, "kubernetes"), os.DirFS(Path(t, "deploy/kubernetes"))); err != nil {
		t.Fatal(err)
	}
	s.installed = dir
	t.Cleanup(func() { s.Uninstall(t) })
	Kubectl(t, "apply", "-k", dir)
	s.WaitForDriver(t)
}

// Uninstall takes away what Install has applied, if it is there still.
func (s *Site) Uninstall(t testing.TB) {
	t.Helper()
	Kubectl(t, "delete", "--ignore-not-found", "-k", s.installed)
}

// controllerKey makes the controller's user, with what docs/guides/cephfs.md
// gives it: no right on users, neither of the monitors nor by the manager.
func (s *Site) controllerKey() string {
	return s.Ceph.User("sdp",
		"mon", "profile rbd, allow r",
		"mgr", `allow command "fs subvolumegroup create", allow command "fs subvolume create", allow command "fs subvolume getpath", `+
			`allow command "fs subvolume resize", allow command "fs subvolume rm", allow command "fs subvolume ls", `+
			`allow command "fs subvolume snapshot create", allow command "fs subvolume snapshot rm"`,
		"mds", "allow rw fsname=cephfs",
		"osd", "profile rbd pool="+s.Pool+", allow rw tag cephfs data=cephfs")
}

// tenantsKey makes the user of --mode=tenants, which makes users.
func (s *Site) tenantsKey() string {
	return s.Ceph.User("sdp-tenants",
		"mon", "allow *",
		"mgr", "allow module volumes rw",
		"mds", "allow rwp fsname=cephfs",
		"osd", "profile rbd pool="+s.Pool+", allow rw tag cephfs data=cephfs")
}

// WaitForDriver waits until every pod of the driver is ready and the kubelet
// has the driver.
func (*Site) WaitForDriver(t testing.TB) {
	t.Helper()
	Eventually(t, "the driver's pods", func() error {
		counts, err := Try("-n", DriverNamespace, "get", "deployments,daemonsets", "-o",
			`jsonpath={range .items[*]}{.metadata.name} {.spec.replicas}{.status.desiredNumberScheduled} {.status.readyReplicas}{.status.numberReady}{"\n"}{end}`)
		if err != nil {
			return err
		}
		for line := range strings.Lines(counts) {
			if f := strings.Fields(line); len(f) != 3 || f[1] != f[2] {
				return fmt.Errorf("%w: wanted and ready are\n%s", ErrNotYet, counts)
			}
		}
		return nil
	})
	Eventually(t, "registration", func() error {
		drivers, err := Try("get", "csinode", "-o", "jsonpath={.items[*].spec.drivers[*].name}")
		if err == nil && !strings.Contains(drivers, DriverName) {
			err = ErrNotYet
		}
		return err
	})
}
