package verify

import (
	"os"
	"testing"

	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const examples = manifests + "/examples"

// example returns the objects of a file of the examples.
func example(t *testing.T, file string) []Object {
	t.Helper()
	objects, err := Parse(exampleText(t, file))
	if err != nil || len(objects) == 0 {
		t.Fatalf("%s: %d objects, %v", file, len(objects), err)
	}
	return objects
}

func exampleText(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(examples + "/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// strictly reads an object as a type of which it may have no unknown field.
func strictly(t *testing.T, o Object, typed any) {
	t.Helper()
	text, err := o.MarshalJSON()
	if err == nil {
		err = yaml.UnmarshalStrict(text, typed)
	}
	if err != nil {
		t.Fatalf("%s: %v", o.Key(), err)
	}
}

// checkGolden holds a pod to showing exactly one golden, read-only, to the one
// container that is named.
func checkGolden(t *testing.T, spec core.PodSpec, container string) {
	t.Helper()
	if len(spec.Volumes) != 1 || len(spec.Containers) != 1 || spec.Containers[0].Name != container || len(spec.Containers[0].VolumeMounts) != 1 {
		t.Fatalf("not one volume and one container %s with one mount: %+v", container, spec)
	}
	checkMount(t, spec.Volumes[0], spec.Containers[0].VolumeMounts[0])
}

func checkMount(t *testing.T, volume core.Volume, mount core.VolumeMount) {
	t.Helper()
	if mount.Name != volume.Name || !mount.ReadOnly || mount.MountPath == "" {
		t.Errorf("volume %s is mounted by %+v", volume.Name, mount)
	}
	switch claim, csi := volume.PersistentVolumeClaim, volume.CSI; {
	case claim != nil:
		if !claim.ReadOnly || claim.ClaimName == "" {
			t.Errorf("the claim is %+v", *claim)
		}
	case csi != nil:
		if csi.Driver != "csi.sdp.dev" || !*csi.ReadOnly || csi.VolumeAttributes["golden"] == "" || csi.NodePublishSecretRef.Name != "sdp-ro" {
			t.Errorf("the inline volume is %+v", *csi)
		}
	default:
		t.Errorf("volume %s is of neither kind", volume.Name)
	}
}
