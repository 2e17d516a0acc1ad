package tenants

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"

	"github.com/sdp-csi/sdp-csi/tests/daemon"
)

// node is a running sdp-csi that is a controller and a node with the mapper in
// user space, on a scene's Ceph.
type node struct {
	*scene
	dir     string
	driver  *daemon.Driver
	volumes csi.ControllerClient
	mounts  csi.NodeClient
}

func newNode(s *scene, args ...string) *node {
	s.t.Helper()
	// Not t.TempDir(), whose removal would go through mounts that a failed
	// test has left.
	dir, err := os.MkdirTemp("", "tenants")
	must(s.t, err)
	s.t.Cleanup(func() {
		if !s.t.Failed() {
			os.RemoveAll(dir)
		}
	})
	n := &node{scene: s, dir: dir}
	n.writePolicy(s.text)
	n.driver = daemon.Start(s.t, "all", n.config(), append([]string{
		"--mapper=fuse", "--state-dir=" + filepath.Join(dir, "state"), "--node-id=node-" + s.a, "--require-pod-info", "--golden-linger=0s", "-v=5",
	}, args...)...)
	n.volumes, n.mounts = csi.NewControllerClient(n.driver.Conn), csi.NewNodeClient(n.driver.Conn)
	s.t.Cleanup(n.wantNothing)
	return n
}

func (n *node) config() string { return filepath.Join(n.dir, "policy.yaml") }

// writePolicy puts a new policy file in the old one's place, as Kubernetes
// does.
func (n *node) writePolicy(text string) {
	n.t.Helper()
	must(n.t, os.WriteFile(n.config()+".new", []byte(text), 0o600))
	must(n.t, os.Rename(n.config()+".new", n.config()))
}

// ctl runs sdpctl and returns what it printed, and what it said besides.
func (n *node) ctl(args ...string) (out, said string) {
	n.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(n.t.Context(), daemon.Program(n.t, "sdpctl"), append([]string{"--config=" + n.config()}, args...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		n.t.Errorf("sdpctl %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return stdout.String(), stderr.String()
}

// pod is a volume on its way to a pod of a tenant.
type pod struct {
	*node
	owner, id       string
	staging, target string
	readOnly        bool
	secrets         map[string]string
}

// pod makes a volume of a tenant: of a golden, only read, or else blank.
func (n *node) pod(owner, name, golden string, parameters ...string) *pod {
	n.t.Helper()
	request := creation(owner, name, golden)
	if golden == "" {
		request.CapacityRange.RequiredBytes = 64 << 20
	}
	for i := 0; i < len(parameters); i += 2 {
		request.Parameters[parameters[i]] = parameters[i+1]
	}
	resp, err := n.volumes.CreateVolume(n.t.Context(), request, grpc.WaitForReady(true))
	must(n.t, err)
	if got := resp.GetVolume().GetVolumeContext(); len(got) != 0 {
		n.t.Errorf("the volume context is %v, it should be empty", got)
	}
	return n.show(owner, name, resp.GetVolume().GetVolumeId(), golden != "")
}

// show is a pod of a volume that is there.
func (n *node) show(owner, name, id string, readOnly bool) *pod {
	n.t.Helper()
	p := &pod{
		node: n, owner: owner, id: id, readOnly: readOnly, secrets: n.keys(owner).Fields(),
		staging: filepath.Join(n.dir, "staging", owner, name), target: filepath.Join(n.dir, "pods", owner, name, "mount"),
	}
	must(n.t, os.MkdirAll(p.staging, 0o755))
	must(n.t, os.MkdirAll(filepath.Dir(p.target), 0o755))
	return p
}

func (p *pod) capability() *csi.VolumeCapability {
	if p.readOnly {
		return readerMount[0]
	}
	return blankMount[0]
}

func (p *pod) stage(ctx context.Context) error {
	_, err := p.mounts.NodeStageVolume(ctx, &csi.NodeStageVolumeRequest{
		VolumeId: p.id, StagingTargetPath: p.staging, VolumeCapability: p.capability(), Secrets: maps.Clone(p.secrets),
	})
	return err
}

// publish shows the volume to a pod of a namespace.
func (p *pod) publish(ctx context.Context, namespace string) error {
	_, err := p.mounts.NodePublishVolume(ctx, &csi.NodePublishVolumeRequest{
		VolumeId: p.id, StagingTargetPath: p.staging, TargetPath: p.target, VolumeCapability: p.capability(), Readonly: p.readOnly,
		VolumeContext: map[string]string{"csi.storage.k8s.io/pod.namespace": namespace},
	})
	return err
}

func (p *pod) unpublish(ctx context.Context) error {
	_, err := p.mounts.NodeUnpublishVolume(ctx, &csi.NodeUnpublishVolumeRequest{VolumeId: p.id, TargetPath: p.target})
	return err
}

func (p *pod) unstage(ctx context.Context) error {
	_, err := p.mounts.NodeUnstageVolume(ctx, &csi.NodeUnstageVolumeRequest{VolumeId: p.id, StagingTargetPath: p.staging})
	return err
}

// start starts the function, which ends with the test at the latest.
func (p *pod) start() *pod {
	p.t.Helper()
	p.t.Cleanup(p.end)
	must(p.t, p.stage(p.t.Context()))
	must(p.t, p.publish(p.t.Context(), p.owner))
	return p
}

// end ends it, as a kubelet does.
func (p *pod) end() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := errors.Join(p.unpublish(ctx), p.unstage(ctx)); err != nil {
		p.t.Errorf("end the function of %s: %v", p.id, err)
	}
}

// reads reads a file from Ceph: what the kernel has of it is dropped first.
func (p *pod) reads(name string) error {
	f, err := os.Open(filepath.Join(p.target, name))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return err
	}
	_, err = f.ReadAt(make([]byte, 4096), 0)
	return err
}

// writes makes a file's new content durable.
func (p *pod) writes(name string) error {
	f, err := os.Create(filepath.Join(p.target, name))
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(bytes.Repeat([]byte("durable\n"), 1<<10)); err != nil {
		return err
	}
	return f.Sync()
}

// wantNothing waits until the node shows nothing of the test any more.
func (n *node) wantNothing() {
	n.t.Helper()
	eventually(n.t, "nothing is left on the node", func() bool {
		rows, err := os.ReadFile("/proc/self/mountinfo")
		must(n.t, err)
		devices, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
		must(n.t, err)
		for _, d := range devices {
			backing, _ := os.ReadFile(d) // one may go away meanwhile
			rows = append(rows, backing...)
		}
		return !strings.Contains(string(rows), n.dir)
	})
}

// exporters are the process IDs of what serves the node's devices.
func (n *node) exporters(t *testing.T) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(t, err)
	for _, file := range files {
		if text, _ := os.ReadFile(file); strings.Contains(string(text), "sdp-export\x00"+n.dir) {
			found = append(found, filepath.Base(filepath.Dir(file)))
		}
	}
	return found
}
