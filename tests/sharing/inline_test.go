package sharing

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"

	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// pod is a pod with an inline volume, as its kubelet asks for it.
type pod struct {
	namespace, handle, golden string
	target                    string
	secrets                   map[string]string
}

func (r *rig) pod(namespace, handle, golden string) pod {
	r.t.Helper()
	p := pod{namespace: namespace, handle: handle, golden: golden, target: filepath.Join(r.dir, "pods", handle, "mount")}
	r.must(os.MkdirAll(filepath.Dir(p.target), 0o755))
	keys, err := r.registrar().Keys(r.t.Context(), r.place(namespace))
	r.must(err)
	p.secrets = keys.ReadOnly().Fields()
	return p
}

func (p pod) publish(ctx context.Context, n csi.NodeClient) error {
	_, err := n.NodePublishVolume(ctx, &csi.NodePublishVolumeRequest{
		VolumeId: p.handle, TargetPath: p.target, Readonly: true, Secrets: p.secrets,
		VolumeCapability: &csi.VolumeCapability{
			AccessMode: &csi.VolumeCapability_AccessMode{Mode: csi.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER},
			AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}},
		},
		VolumeContext: map[string]string{
			"golden": p.golden, "csi.storage.k8s.io/ephemeral": "true", "csi.storage.k8s.io/pod.namespace": p.namespace,
		},
	})
	return err
}

func (p pod) unpublish(ctx context.Context, n csi.NodeClient) error {
	_, err := n.NodeUnpublishVolume(ctx, &csi.NodeUnpublishVolumeRequest{VolumeId: p.handle, TargetPath: p.target})
	return err
}

// own imports a golden of a tenant's own.
func (r *rig) own(tenant, name string) {
	r.t.Helper()
	ref, err := volume.ParseGoldenRef(name)
	r.must(err)
	file := filepath.Join(r.dir, "own-"+ref.Name)
	r.must(os.WriteFile(file, []byte("only "+tenant+"'s"), 0o600))
	_, err = r.library.Import(r.t.Context(), r.place(tenant), ref, golden.Import{Source: image.Source{Path: file}})
	r.must(err)
	_, err = r.registrar().Sync(r.t.Context(), r.place(tenant))
	r.must(err)
}

// wantModel compares what a path shows with what was imported.
func (r *rig) wantModel(path, name string) {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(path, "model.h5"))
	r.must(err)
	if sha256.Sum256(text) != r.digests[name] {
		r.t.Errorf("%s shows something else than %s", path, name)
	}
}

// TestInline shows a golden to pods without a claim, beside a volume of it, by
// one device; a lease keeps it; the next driver goes on; nothing is left.
func TestInline(t *testing.T) {
	r := newRig(t)
	g := r.seed("model:v1", "erofs")
	r.own(r.one, "own:v1")
	d := r.start("node", "--golden-linger=0s")
	ctx, n := t.Context(), csi.NewNodeClient(d.Conn)
	f := r.function("node", want{namespace: r.one, name: "claimed", golden: "model:v1", readOnly: true}, "")
	f.id = r.create(d, f.want)
	r.must(f.stage(ctx, n))
	pods := []pod{r.pod(r.one, "csi-1", r.public+"/model:v1"), r.pod(r.one, "csi-2", r.public+"/model:v1")}
	for range 2 {
		for _, p := range pods {
			r.must(p.publish(ctx, n))
		}
	}
	if devices := filesWith("/sys/block/loop*/loop/backing_file", r.dir); len(devices) != 1 {
		t.Errorf("%d devices: %q", len(devices), devices)
	}
	for _, p := range pods {
		r.wantModel(p.target, "model:v1")
		if err := os.WriteFile(filepath.Join(p.target, "new"), nil, 0o600); !errors.Is(err, syscall.EROFS) {
			t.Errorf("%s could be written: %v", p.handle, err)
		}
		_, err := n.NodeGetVolumeStats(ctx, &csi.NodeGetVolumeStatsRequest{VolumeId: p.handle, VolumePath: p.target})
		r.must(err)
	}
	mine := r.pod(r.one, "csi-own", "own:v1")
	r.must(mine.publish(ctx, n))
	if text, err := os.ReadFile(filepath.Join(mine.target, "own-own")); string(text) != "only "+r.one+"'s" {
		t.Errorf("the tenant's own golden shows %q, %v", text, err)
	}
	r.must(f.unstage(ctx, n))
	d.Kill(t)
	r.wantModel(pods[0].target, "model:v1")
	r.isHeld(g)

	d = r.start("node", "--golden-linger=0s")
	n = csi.NewNodeClient(d.Conn)
	r.must(pods[0].publish(ctx, n))
	for _, p := range append(pods, mine) {
		r.must(p.unpublish(ctx, n))
		r.must(p.unpublish(ctx, n))
		if _, err := os.Lstat(p.target); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", p.target, err)
		}
	}
	r.wantNothing()
}

// isHeld deletes the golden, which has no clone but that of a volume that goes
// first: the pods' lease is in the way.
func (r *rig) isHeld(g volume.Golden) {
	r.t.Helper()
	names := r.ceph.Rados("-p", r.pool, "-N", r.public, "listomapkeys", "sdp.lease."+g.ImageID+".nodes")
	if strings.TrimSpace(names) != "node" {
		r.t.Errorf("the golden's leases are %q", names)
	}
	at := r.place(r.one)
	for name := range strings.FieldsSeq(r.ceph.RBD("ls", r.pool+"/"+at.Namespace())) {
		if strings.HasPrefix(name, "vol.") {
			r.ceph.RBD("rm", "--no-progress", r.pool+"/"+at.Namespace()+"/"+name)
		}
	}
	var waiting *golden.Waiting
	if err := r.library.Delete(r.t.Context(), r.place(r.public), g.Ref); !errors.As(err, &waiting) || waiting.Node != "node" {
		r.t.Errorf("the golden could be deleted: %v", err)
	}
}

// TestInlineAttacks tries, while the goldens are mapped, what a pod's author
// with somebody's real keys could try.
func TestInlineAttacks(t *testing.T) {
	r := newRig(t)
	r.seed("model:v1", "erofs")
	r.own(r.one, "own:v1")
	r.own(r.two, "secret:v1")
	d := r.start("node", "--golden-linger=0s")
	ctx, n := t.Context(), csi.NewNodeClient(d.Conn)
	shown := []pod{r.pod(r.one, "csi-model", r.public+"/model:v1"), r.pod(r.one, "csi-own", "own:v1")}
	for _, p := range shown {
		r.must(p.publish(ctx, n))
	}
	one, two := r.pod(r.one, "csi-x", "own:v1"), r.pod(r.two, "csi-x", "secret:v1")
	mixed := without(one.secrets, "user")
	mixed["userID"], mixed["userKey"] = two.secrets["userID"], two.secrets["userKey"]
	retired := r.pod(r.one, "csi-x", r.public+"/model:v1")
	for name, tc := range map[string]struct {
		pod  pod
		code codes.Code
	}{
		"a tenant without inline volumes":  {two, codes.PermissionDenied},
		"another tenant's golden":          {pod{golden: r.two + "/secret:v1", namespace: r.one, secrets: two.secrets}, codes.PermissionDenied},
		"another namespace's key":          {pod{golden: "own:v1", namespace: r.one, secrets: mixed}, codes.PermissionDenied},
		"another namespace's Secret":       {pod{golden: "own:v1", namespace: r.one, secrets: two.secrets}, codes.PermissionDenied},
		"without the golden's key":         {pod{golden: "own:v1", namespace: r.one, secrets: without(one.secrets, "golden.")}, codes.PermissionDenied},
		"a golden that is not there":       {pod{golden: "own:v2", namespace: r.one, secrets: one.secrets}, codes.PermissionDenied},
		"one's own key as the golden's":    {pod{golden: r.public + "/model:v1", namespace: r.one, secrets: r.forged(one.secrets)}, codes.PermissionDenied},
		"one's keys in a stranger's pod":   {pod{golden: r.one + "/own:v1", namespace: r.two, secrets: one.secrets}, codes.PermissionDenied},
		"a name that is a path":            {pod{golden: "../own:v1", namespace: r.one, secrets: one.secrets}, codes.InvalidArgument},
		"a namespace that no policy knows": {pod{golden: "own:v1", namespace: "nobody", secrets: one.secrets}, codes.PermissionDenied},
	} {
		tc.pod.handle, tc.pod.target = "csi-x", one.target
		r.expect(name, tc.pod.publish(ctx, n), tc.code)
	}
	ref, err := volume.ParseGoldenRef("model:v1")
	r.must(err)
	r.must(r.library.Retire(ctx, r.place(r.public), ref))
	r.expect("a retired golden", retired.publish(ctx, n), codes.NotFound)
	r.must(shown[0].publish(ctx, n)) // what shows it goes on
	r.wantModel(shown[0].target, "model:v1")
	for _, p := range shown {
		r.must(p.unpublish(ctx, n))
	}
	r.wantNothing()
}

// forged has the tenant's own key where that of the golden's reader should be.
func (r *rig) forged(secrets map[string]string) map[string]string {
	fields := without(secrets, "golden.")
	fields[fmt.Sprintf("golden.%s.model.v1", r.public)] = secrets["userID"] + ":" + secrets["userKey"]
	return fields
}
