package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
)

// function is one function of the demo and its volume.
type function struct {
	name    string
	volume  string // ID
	staging string
	target  string
	ready   time.Duration // until its data was there: stage and publish
	result  result
}

// result is what hack/function/once.py prints.
type result struct {
	Top      [][2]float64 `json:"top"`
	Digest   string       `json:"sha256"`
	Opened   float64      `json:"opened"`   // seconds until the file is opened
	Loaded   float64      `json:"loaded"`   // … the weights are in memory
	Answered float64      `json:"answered"` // … the classes are known
}

func (d *demo) runFunction(ctx context.Context, model string, args ...string) (result, error) {
	var r result
	out, err := d.output(ctx, python, append([]string{filepath.Join(d.repo, "hack/function/once.py"), model}, args...)...)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return r, fmt.Errorf("read the function's answer: %w", err)
	}
	return r, nil
}

// sameAs compares what the function found, not how long it took.
func (r result) sameAs(other result) error {
	if !reflect.DeepEqual(r.Top, other.Top) {
		return fmt.Errorf("the function answers %v, with the original it was %v", r.Top, other.Top)
	}
	if r.Digest != "" && r.Digest != other.Digest {
		return fmt.Errorf("the function reads sha256 %s, the original has %s", r.Digest, other.Digest)
	}
	return nil
}

// function is a function and where its volume is shown.
func (d *demo) function(name string) *function {
	return &function{name: name, staging: filepath.Join(d.dir, "staging", name), target: filepath.Join(d.dir, "pods", name, "model")}
}

// runFunctions gives three functions the golden and runs them.
func (d *demo) runFunctions(ctx context.Context) error {
	for i := range 3 {
		f := d.function(fmt.Sprintf("function-%d", i+1))
		d.functions = append(d.functions, f)
		if err := d.step(ctx, f.name+": CreateVolume from acme/"+golden, func(ctx context.Context) error { return d.create(ctx, f) }); err != nil {
			return err
		}
	}
	// The first read of the golden on the node is a cold one; the others find it.
	if err := dropPageCache(); err != nil {
		return err
	}
	for i, f := range d.functions {
		if err := d.step(ctx, f.name+": NodeStage and NodePublish", func(ctx context.Context) error { return d.show(ctx, f) }); err != nil {
			return err
		}
		f.ready = d.table.rows[len(d.table.rows)-1].took
		if err := d.step(ctx, f.name+": run, "+[]string{"first on the node", "second on the node", "third on the node"}[i], func(ctx context.Context) error { return d.invoke(ctx, f) }); err != nil {
			return err
		}
	}
	return nil
}

// readOnly is how a function uses its volume.
func readOnly() *csi.VolumeCapability {
	return &csi.VolumeCapability{
		AccessMode: &csi.VolumeCapability_AccessMode{Mode: csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY},
		AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}},
	}
}

// create asks for less than the golden has, as people do.
func (d *demo) create(ctx context.Context, f *function) error {
	r, err := d.node.volumes.CreateVolume(ctx, d.creation("acme", f.name))
	if err != nil {
		return err
	}
	f.volume = r.GetVolume().GetVolumeId()
	d.onUndo(func(ctx context.Context) error {
		_, err := d.node.volumes.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: f.volume})
		return err
	})
	return nil
}

// creation asks for a volume of acme's golden as a claim of a namespace does.
func (d *demo) creation(namespace, name string) *csi.CreateVolumeRequest {
	return &csi.CreateVolumeRequest{
		Name: "demo-" + name, VolumeCapabilities: []*csi.VolumeCapability{readOnly()},
		CapacityRange: &csi.CapacityRange{RequiredBytes: 1 << 20},
		Parameters:    map[string]string{"golden": "acme/" + golden, "backend": d.backend, "prefetch": "all", "csi.storage.k8s.io/pvc/namespace": namespace},
	}
}

// show stages and publishes the function's volume.
func (d *demo) show(ctx context.Context, f *function) error {
	for _, dir := range []string{f.staging, filepath.Dir(f.target)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	d.onUndo(func(ctx context.Context) error { return d.hide(ctx, f) })
	if _, err := d.node.mounts.NodeStageVolume(ctx, staging(f, d.node.secrets["acme"])); err != nil {
		return err
	}
	_, err := d.node.mounts.NodePublishVolume(ctx, publication(f, "acme"))
	return err
}

func staging(f *function, secret map[string]string) *csi.NodeStageVolumeRequest {
	return &csi.NodeStageVolumeRequest{VolumeId: f.volume, StagingTargetPath: f.staging, VolumeCapability: readOnly(), Secrets: secret}
}

func publication(f *function, namespace string) *csi.NodePublishVolumeRequest {
	return &csi.NodePublishVolumeRequest{
		VolumeId: f.volume, StagingTargetPath: f.staging, TargetPath: f.target, VolumeCapability: readOnly(), Readonly: true,
		VolumeContext: map[string]string{"csi.storage.k8s.io/pod.namespace": namespace},
	}
}

func (d *demo) hide(ctx context.Context, f *function) error {
	_, unpublish := d.node.mounts.NodeUnpublishVolume(ctx, &csi.NodeUnpublishVolumeRequest{VolumeId: f.volume, TargetPath: f.target})
	_, unstage := d.node.mounts.NodeUnstageVolume(ctx, &csi.NodeUnstageVolumeRequest{VolumeId: f.volume, StagingTargetPath: f.staging})
	return errors.Join(unpublish, unstage)
}

// invoke runs the function's process and compares what it says. The digest is
// taken outside the step, because no function would.
func (d *demo) invoke(ctx context.Context, f *function) (err error) {
	if f.result, err = d.runFunction(ctx, filepath.Join(f.target, "model.h5")); err != nil {
		return err
	}
	fmt.Printf("    top classes %v, as with the original: %t\n", f.result.Top, f.result.sameAs(d.original) == nil)
	return f.result.sameAs(d.original)
}

// dropPageCache makes the next reads cold (Documentation/admin-guide/sysctl/vm).
func dropPageCache() error {
	if err := os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0); err != nil {
		return fmt.Errorf("drop the page cache: %w", err)
	}
	return nil
}
