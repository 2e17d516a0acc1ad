package function

import (
	"fmt"
	"path"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Binding is one golden of a function.
type Binding struct {
	Golden volume.GoldenRef // as the function's tenant calls it
	Digest string
	Path   string // where the function sees it
	// Claim is the PersistentVolumeClaim that shows it. Empty: an inline
	// volume.
	Claim string
	// Cluster is the policy's cluster, for an inline volume where there are
	// several.
	Cluster string
	// Backend has the golden: an inline volume names it unless it is RBD, or
	// empty.
	Backend volume.Backend
	// Secret is the one that an inline volume is read with. Empty: DefaultSecret.
	Secret string
}

// DefaultSecret is the Secret that `sdp-csi --mode=tenants` keeps in a
// tenant's namespaces.
const DefaultSecret = "sdp-ro"

// driverName is what pods and classes call the driver.
const driverName = "csi.sdp.dev"

// The annotations of a binding: <volume>.data.sdp.dev/golden and so on. A
// function can have several goldens.
const (
	annotationDomain = ".data.sdp.dev/"
	annotationGolden = "golden"
	annotationDigest = "digest"
	annotationPath   = "path"
)

// annotationFields are the annotations that each binding has.
func annotationFields() []string {
	return []string{annotationGolden, annotationDigest, annotationPath}
}

func annotation(volume, field string) string { return volume + annotationDomain + field }

// Check refuses what no pod can have. It wraps volume.ErrInvalid.
func (b Binding) Check() error {
	switch {
	case !path.IsAbs(b.Path) || path.Clean(b.Path) != b.Path || b.Path == "/":
		return fmt.Errorf("the path %.128q is not one in a container: name a directory like /data/model: %w", b.Path, volume.ErrInvalid)
	case strings.Contains(b.Path, ":"):
		return fmt.Errorf("the path %.128q has a colon, which Kubernetes refuses: %w", b.Path, volume.ErrInvalid)
	}
	return nil
}

// maxVolumeName is a DNS label's length.
const maxVolumeName = 63

// Volume names the binding's volume in the pod.
func (b Binding) Volume() string {
	name := "golden-" + b.Golden.Name + "-" + strings.NewReplacer(".", "-", "_", "-").Replace(b.Golden.Version)
	if len(name) <= maxVolumeName {
		return name
	}
	const digits = 10
	return strings.TrimRight(name[:maxVolumeName-digits-1], "-") + "-" + volume.Hash(name)[:digits]
}

// annotations are the binding's, by name.
func (b Binding) annotations() map[string]string {
	v := b.Volume()
	return map[string]string{
		annotation(v, annotationGolden): b.Golden.String(),
		annotation(v, annotationDigest): b.Digest,
		annotation(v, annotationPath):   b.Path,
	}
}

// podVolume is the volume as a pod's spec has it.
type podVolume struct {
	Name  string       `yaml:"name"`
	CSI   *inlineCSI   `yaml:"csi,omitempty"`
	Claim *claimSource `yaml:"persistentVolumeClaim,omitempty"`
}

type inlineCSI struct {
	Driver     string            `yaml:"driver"`
	ReadOnly   bool              `yaml:"readOnly"`
	Attributes map[string]string `yaml:"volumeAttributes"`
	Secret     secretName        `yaml:"nodePublishSecretRef"`
}

type secretName struct {
	Name string `yaml:"name"`
}

type claimSource struct {
	Name     string `yaml:"claimName"`
	ReadOnly bool   `yaml:"readOnly"`
}

// podMount is the mount as a container has it.
type podMount struct {
	Name     string `yaml:"name"`
	Path     string `yaml:"mountPath"`
	ReadOnly bool   `yaml:"readOnly"`
}

func (b Binding) podVolume() podVolume {
	if b.Claim != "" {
		return podVolume{Name: b.Volume(), Claim: &claimSource{Name: b.Claim, ReadOnly: true}}
	}
	attributes := map[string]string{"golden": b.Golden.String()}
	if b.Cluster != "" {
		attributes["cluster"] = b.Cluster
	}
	if b.Backend != "" && b.Backend != volume.RBD {
		attributes["backend"] = string(b.Backend)
	}
	secret := b.Secret
	if secret == "" {
		secret = DefaultSecret
	}
	return podVolume{Name: b.Volume(), CSI: &inlineCSI{Driver: driverName, ReadOnly: true, Attributes: attributes, Secret: secretName{secret}}}
}

func (b Binding) podMount() podMount {
	return podMount{Name: b.Volume(), Path: b.Path, ReadOnly: true}
}

// fragment is what a platform is given that has fields of its own for it.
type fragment struct {
	Annotations map[string]string `yaml:"annotations"`
	Volumes     []podVolume       `yaml:"volumes"`
	Mounts      []podMount        `yaml:"volumeMounts"`
}

// Fragment returns the annotations, the volume and the mount as YAML, for
// platforms that take them apart from a manifest.
func (b Binding) Fragment() (string, error) {
	return encode(fragment{b.annotations(), []podVolume{b.podVolume()}, []podMount{b.podMount()}})
}
