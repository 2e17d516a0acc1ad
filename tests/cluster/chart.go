package cluster

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
)

// InstallChart does with the Helm chart what Install does with its base, as
// docs/guides/install.md tells. It ends with the test, too.
func (s *Site) InstallChart(t *testing.T) {
	t.Helper()
	Apply(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+DriverNamespace+", labels: {pod-security.kubernetes.io/enforce: privileged}}")
	dir := t.TempDir()
	for name, text := range map[string]string{"controller": s.controllerKey(), "tenants": s.tenantsKey(), "values.yaml": s.chartValues()} {
		write(t, filepath.Join(dir, name), text)
	}
	for _, user := range []string{"controller", "tenants"} {
		Kubectl(t, "-n", DriverNamespace, "create", "secret", "generic", "sdp-"+user+"-key", "--from-file=key="+filepath.Join(dir, user))
	}
	t.Cleanup(func() { helm(t, "uninstall", "sdp") })
	helm(t, "install", "sdp", Path(t, "deploy/helm/sdp-csi"), "--values", filepath.Join(dir, "values.yaml"))
	s.WaitForDriver(t)
}

// chartValues say of the chart what the overlay dev says of the base.
func (s *Site) chartValues() string {
	policy := strings.ReplaceAll(s.policy("sdp", "/etc/sdp-csi/key"), "\n", "\n  ")
	return "policy:\n  " + policy + "\nnode: {mapper: fuse}\nmounter: {enabled: true}\ninline: {everywhere: true}\n"
}

// helm runs Helm (hack/helm) in the driver's namespace, which must succeed.
func helm(t testing.TB, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if _, err := Run(ctx, "", Path(t, "bin/helm"), append([]string{"--namespace", DriverNamespace}, args...)...); err != nil {
		t.Fatal(err)
	}
}
