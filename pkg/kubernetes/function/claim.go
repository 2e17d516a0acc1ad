package function

import "strconv"

// Claim is a PersistentVolumeClaim of a class that names a golden.
type Claim struct {
	Name      string
	Namespace string // empty: none is written
	Class     string
	Bytes     int64
}

// ClaimKind is the kind of a Claim's manifest.
const ClaimKind = "PersistentVolumeClaim"

type claimManifest struct {
	APIVersion string    `yaml:"apiVersion"`
	Kind       string    `yaml:"kind"`
	Metadata   claimName `yaml:"metadata"`
	Spec       claimSpec `yaml:"spec"`
}

type claimName struct {
	Name      string `yaml:"name"`
	Namespace string `yaml:"namespace,omitempty"`
}

type claimSpec struct {
	Modes     []string       `yaml:"accessModes"`
	Class     string         `yaml:"storageClassName"`
	Resources claimResources `yaml:"resources"`
}

type claimResources struct {
	Requests map[string]string `yaml:"requests"`
}

// Manifest returns the claim as YAML.
func (c Claim) Manifest() (string, error) {
	return encode(claimManifest{
		APIVersion: "v1", Kind: ClaimKind, Metadata: claimName{c.Name, c.Namespace},
		Spec: claimSpec{
			Modes: []string{"ReadOnlyMany"}, Class: c.Class,
			Resources: claimResources{map[string]string{"storage": strconv.FormatInt(c.Bytes, 10)}},
		},
	})
}
