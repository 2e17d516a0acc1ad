package sanity

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kubernetes-csi/csi-test/v5/pkg/sanity"
	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	"github.com/onsi/gomega"
	"sigs.k8s.io/yaml"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// runs are what csi-sanity is run for.
var runs = map[string]struct {
	backend string
	access  string
	golden  string // empty: blank
}{
	"RBD, blank mount":               {backend: "rbd", access: "mount"},
	"RBD, blank block":               {backend: "rbd", access: "block"},
	"RBD, writable from a golden":    {backend: "rbd", access: "mount", golden: "image:v1"},
	"CephFS, blank mount":            {backend: "cephfs", access: "mount"},
	"CephFS, writable from a golden": {backend: "cephfs", access: "mount", golden: "files:v1"},
}

// unserved are the specs that csi-sanity skips because the driver does not
// advertise a capability: attaching, modifying, groups, topology, and health
// of all volumes in one list.
var unserved = []string{
	"Controller Service [Controller Server] ControllerPublishVolume should fail when no node id is provided",
	"Controller Service [Controller Server] ControllerPublishVolume should fail when no volume capability is provided",
	"Controller Service [Controller Server] ControllerPublishVolume should fail when no volume id is provided",
	"Controller Service [Controller Server] ControllerPublishVolume should fail when publishing more volumes than the node max attach limit",
	"Controller Service [Controller Server] ControllerPublishVolume should fail when the node does not exist",
	"Controller Service [Controller Server] ControllerPublishVolume should fail when the volume does not exist",
	"Controller Service [Controller Server] ControllerPublishVolume should fail when the volume is already published but is incompatible",
	"Controller Service [Controller Server] ControllerUnpublishVolume should fail when no volume id is provided",
	"Controller Service [Controller Server] CreateVolume should create volume with a volume attribute class",
	"Controller Service [Controller Server] CreateVolume should not create volume with an invalid volume attribute class",
	"Controller Service [Controller Server] ListVolumes pagination should detect volumes added between pages and accept tokens when the last volume from a page is deleted",
	"Controller Service [Controller Server] volume lifecycle should be idempotent",
	"Controller Service [Controller Server] volume lifecycle should work",
	"ControllerListVolumeHealth [Controller Server] should return appropriate response",
	"CreateSnapshot [Controller Server] should succeed when creating a snapshot with accessibility requirements",
	"GroupController Service [GroupController Server] GroupControllerGetCapabilities should return appropriate capabilities",
	"GroupController Service [GroupController VolumeGroupSnapshots] CreateVolumeGroupSnapshot should fail when no name is provided",
	"GroupController Service [GroupController VolumeGroupSnapshots] DeleteVolumeGroupSnapshot should fail when no volume id is provided",
	"GroupController Service [GroupController VolumeGroupSnapshots] DeleteVolumeGroupSnapshot should succeed when an invalid volume id is used",
	"GroupController Service [GroupController VolumeGroupSnapshots] GetVolumeGroupSnapshot should fail when an invalid volume id is used",
	"GroupController Service [GroupController VolumeGroupSnapshots] GetVolumeGroupSnapshot should fail when no volume id is provided",
	"ModifyVolume [Controller Server] should fail if no volume id is given",
	"ModifyVolume [Controller Server] should fail if specified mutable parameters are not supported by the volume",
	"ModifyVolume [Controller Server] should fail if volume does not exist",
	"ModifyVolume [Controller Server] should fail to modify a volume created with a volume attribute class if new mutable parameters are not supported by volume",
	"ModifyVolume [Controller Server] should modify a volume created with a volume attribute class",
	"ModifyVolume [Controller Server] should modify a volume created without a volume attribute class",
	"Node Service NodeGetStorageHealth should return appropriate response",
}

// TestSanity runs csi-sanity with no skip list and its default IdempotentCount
// of 10. Exactly the specs of what is not advertised are skipped.
func TestSanity(t *testing.T) {
	r := newRig(t)
	r.golden(t, "image:v1", "ext4")
	r.golden(t, "files:v1", volume.FilesType)
	d := r.start(t, "all")
	secrets := r.secretsFile(t)
	var contexts []*sanity.TestContext
	for name, run := range runs {
		config := r.sanityConfig(t, name, secrets)
		config.Address, config.TestVolumeAccessType = d.Conn.Target(), run.access
		config.TestVolumeParameters["backend"] = run.backend
		if run.golden != "" {
			config.TestVolumeParameters["golden"] = run.golden
		}
		ginkgo.Describe(name, func() { contexts = append(contexts, sanity.GinkgoTest(&config)) })
	}
	ran, skipped := map[string]int{}, map[string][]string{}
	ginkgo.ReportAfterSuite("specs", func(report ginkgo.Report) { countSpecs(report, ran, skipped) })
	gomega.RegisterFailHandler(ginkgo.Fail)
	ginkgo.RunSpecs(t, "csi-sanity")
	for _, c := range contexts {
		c.Finalize()
	}
	for name := range runs {
		checkSkipped(t, name, skipped[name])
		if ran[name] < 60 {
			t.Errorf("%s: only %d specs ran", name, ran[name])
		}
	}
	wantNothing(t, "on the node", func() []string { return r.left(t) })
	wantNothing(t, "in Ceph", r.contents)
}

// sanityConfig is csi-sanity's own default but for what names this rig, and
// sizes that a throwaway Ceph has.
func (r *rig) sanityConfig(t *testing.T, name, secrets string) sanity.TestConfig {
	t.Helper()
	c := sanity.NewTestConfig()
	dir := filepath.Join(r.dir, strings.ReplaceAll(name, " ", "-"))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c.TargetPath, c.StagingPath, c.SecretsFile = filepath.Join(dir, "target"), filepath.Join(dir, "staging"), secrets
	c.TestVolumeSize, c.TestVolumeExpandSize = 64<<20, 96<<20
	c.TestVolumeParameters = map[string]string{namespaceKey: "acme"}
	return c
}

// secretsFile writes the tenant's node-stage secret as csi-sanity reads it.
func (r *rig) secretsFile(t *testing.T) string {
	t.Helper()
	data, err := yaml.Marshal(map[string]any{"NodeStageVolumeSecret": r.secret(t)})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.dir, "secrets.yaml")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// countSpecs sorts the specs by the run that they are of.
func countSpecs(report ginkgo.Report, ran map[string]int, skipped map[string][]string) {
	for _, spec := range report.SpecReports {
		if spec.LeafNodeType != types.NodeTypeIt {
			continue
		}
		run := spec.ContainerHierarchyTexts[0]
		text := strings.TrimPrefix(spec.FullText(), run+" ")
		if spec.State.Is(types.SpecStateSkipped | types.SpecStatePending) {
			skipped[run] = append(skipped[run], text)
			continue
		}
		ran[run]++
	}
}

func checkSkipped(t *testing.T, run string, got []string) {
	t.Helper()
	extra := maps.Collect(func(yield func(string, bool) bool) {
		for _, s := range got {
			if !yield(s, true) {
				return
			}
		}
	})
	for _, s := range unserved {
		if !extra[s] {
			t.Errorf("%s: not skipped: %s", run, s)
		}
		delete(extra, s)
	}
	for _, s := range slices.Sorted(maps.Keys(extra)) {
		t.Errorf("%s: skipped: %q,", run, s)
	}
}
