package driver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// ephemeral says in a volume context that the pod's manifest is all there is of
// a volume. Kubernetes writes it over what the manifest has, and the pod's
// namespace as well, where the CSIDriver object has podInfoOnMount.
const ephemeral = kubernetesPrefix + "ephemeral"

// inlineSecret is the Secret that an inline volume is to name.
const inlineSecret = "sdp-ro"

func isInline(context map[string]string) bool { return context[ephemeral] == "true" }

// inlining is a NodePublishVolume request for an inline volume, read.
type inlining struct {
	volume.Inline
	namespace string // the pod's
	cluster   string
	backend   volume.Backend
}

// publishInline is stage and publish in one: there is no volume but the golden,
// and no staging path. The tenant is that of the pod's namespace, whatever the
// manifest says.
func (n *Node) publishInline(ctx context.Context, r *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	in, err := parseInline(r)
	if err != nil {
		return nil, err
	}
	at, owner, err := admitInline(n.policy(), &in)
	if err != nil {
		return nil, err
	}
	backend, ok := n.goldens[in.backend]
	if !ok {
		return nil, fmt.Errorf("this node shows no goldens of backend %s: %w", in.backend, volume.ErrUnsupported)
	}
	err = n.busy.do(ctx, inlineTargets(in.Handle), func(ctx context.Context) error {
		done, err := n.admitNumber(ctx, at, in.Handle)
		if err != nil {
			return err
		}
		defer done()
		return backend.ShowGolden(ctx, at, owner, in.Inline)
	})
	return &csi.NodePublishVolumeResponse{}, err
}

// inlineTargets is the key of what is done to an inline volume.
func inlineTargets(handle string) string { return "the target of inline volume " + handle }

// admitInline asks the policy. Of a golden that is not the tenant's own it
// wants a grant, as for volumes. It names the golden in full.
func admitInline(policy *tenant.Policy, in *inlining) (at, owner tenant.Place, err error) {
	if at, err = policy.Admit(in.namespace, in.cluster); err != nil {
		return at, owner, err
	}
	if !policy.Inline(at) {
		return at, owner, fmt.Errorf("tenant %s may not have inline volumes: set `inline: true` in its row of the policy file, or use a claim: %w", at.Tenant(), volume.ErrDenied)
	}
	if owner, err = policy.Golden(at, in.Golden); err != nil {
		return at, owner, err
	}
	in.Tenant, in.Golden.Tenant = at.Tenant(), owner.Tenant()
	return at, owner, nil
}

// parseInline reads a request for an inline volume. It is pure.
func parseInline(r *csi.NodePublishVolumeRequest) (in inlining, err error) {
	if in.Target, err = parsePath("the target path", r.GetTargetPath()); err != nil {
		return in, err
	}
	if in.Handle, err = parseHandle(r.GetVolumeId()); err != nil {
		return in, err
	}
	use, err := parseCapability(r.GetVolumeCapability())
	if err != nil {
		return in, err
	}
	in.FsType, in.Options = use.fsType, use.options
	switch {
	case use.block:
		return in, fmt.Errorf("an inline volume is a directory: use a claim for a block volume: %w", volume.ErrInvalid)
	case !r.GetReadonly():
		return in, fmt.Errorf("an inline volume is read-only: set readOnly: true beside the driver's name, or use a claim to write: %w", volume.ErrInvalid)
	}
	if err := in.parseContext(r.GetVolumeContext()); err != nil {
		return in, err
	}
	return in, in.parseSecret(r.GetSecrets())
}

// parseHandle checks what a CO calls an inline volume.
func parseHandle(s string) (string, error) {
	if !isHandle(s) {
		return "", fmt.Errorf("volume ID %.128q is none of an inline volume: %w", s, volume.ErrInvalid)
	}
	return s, nil
}

// isHandle keeps out what is a volume's ID, and what has a meaning in a mount
// table.
func isHandle(s string) bool {
	_, err := volume.ParseID(s)
	return err != nil && s != "" && len(s) <= maxField && strings.TrimLeft(s, userLetters) == ""
}

// parseContext reads the manifest's volumeAttributes and what Kubernetes puts
// over them.
func (in *inlining) parseContext(m map[string]string) (err error) {
	if err := checkMap("volumeAttributes", m); err != nil {
		return err
	}
	in.backend, in.namespace = volume.RBD, m[podNamespace]
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if err := in.set(key, m[key]); err != nil {
			return err
		}
	}
	switch {
	case in.namespace == "":
		return fmt.Errorf("the request does not tell the pod's namespace: set podInfoOnMount in the CSIDriver object: %w", volume.ErrInvalid)
	case in.Golden == volume.GoldenRef{}:
		return fmt.Errorf("volumeAttributes have no golden: say which, like golden: resnet50:v1: %w", volume.ErrInvalid)
	}
	return nil
}

func (in *inlining) set(key, value string) (err error) {
	switch {
	case hasKubernetesPrefix(key):
	case key == paramGolden:
		in.Golden, err = volume.ParseGoldenRef(value)
	case key == paramCluster:
		in.cluster = value
	case key == paramBackend:
		in.backend = volume.Backend(value)
		err = oneOf(key, value, string(volume.RBD), string(volume.CephFS))
	default:
		known := []string{paramBackend, paramCluster, paramGolden}
		err = fmt.Errorf("volumeAttribute %.64q is not known: did you mean %q? Known are %s: %w",
			key, nearest(key, known), strings.Join(known, ", "), volume.ErrInvalid)
	}
	return err
}

// parseSecret reads the keys, of which the writer's has no business here.
func (in *inlining) parseSecret(secrets map[string]string) (err error) {
	if secrets[tenant.FieldReaderUser] == "" || secrets[tenant.FieldReaderKey] == "" {
		return fmt.Errorf("the inline volume names no Secret with %s and %s: set nodePublishSecretRef: {name: %s}: %w",
			tenant.FieldReaderUser, tenant.FieldReaderKey, inlineSecret, volume.ErrInvalid)
	}
	if in.Credentials, err = parseCredentials(secrets, true, publishSecret); err != nil {
		return err
	}
	in.Goldens, err = parseReaders(secrets)
	return err
}

// unpublishInline undoes publishInline with what the mount table tells: neither
// the policy nor a key is needed. An ID that is no handle never was published.
func (n *Node) unpublishInline(ctx context.Context, handle, target string) error {
	if !isHandle(handle) {
		return nil
	}
	return n.busy.do(ctx, inlineTargets(handle), func(ctx context.Context) error {
		var failed []error
		for _, backend := range n.goldens {
			failed = append(failed, backend.HideGolden(ctx, handle, target))
		}
		return errors.Join(failed...)
	})
}

// shownInline says whether path shows the inline volume; ErrNotFound when it
// does not.
func (n *Node) shownInline(ctx context.Context, handle, path string) error {
	err := fmt.Errorf("volume %.128q is not on this node: %w", handle, volume.ErrNotFound)
	if !isHandle(handle) {
		return err
	}
	for _, backend := range n.goldens {
		if err = backend.ShownGolden(ctx, handle, path); err == nil || !errors.Is(err, volume.ErrNotFound) {
			return err
		}
	}
	return err
}
