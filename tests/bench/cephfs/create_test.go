//go:build bench

package cephfs

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/realceph"
)

// backend is what the driver calls.
type backend interface {
	Create(ctx context.Context, at, golden tenant.Place, id volume.ID, spec volume.Spec) (volume.Volume, error)
	Delete(ctx context.Context, at tenant.Place, id volume.ID) error
}

// sample is how many volumes make a figure.
const sample = 40

// BenchmarkCreate reports the medians of read-only creations in milliseconds,
// one after the other, and how long 60 at once take.
func BenchmarkCreate(b *testing.B) {
	c := realceph.New(b)
	name := "b" + strings.ToLower(rand.Text()[:8])
	row := strings.Replace(c.Cluster("test", c.Pool(name)), "{", "{fileSystem: cephfs, ", 1)
	policy, err := tenant.Parse(fmt.Appendf(nil, "clusters: [%s]\ntenants: [{name: %s, namespaces: [%s]}]\n", row, name, name))
	must(b, err)
	at, err := policy.Default(name, "test")
	must(b, err)
	cluster := ceph.NewCluster(ceph.Options{})
	b.Cleanup(cluster.Close)
	files := ceph.NewFileSystem(cluster)
	b.Cleanup(func() {
		_ = exec.Command("ceph", "-c", c.Conf(), "fs", "subvolumegroup", "rm", "cephfs", name, "--force").Run()
	})
	inFiles, inImages := golden.NewLibrary(files, golden.Options{}), golden.NewLibrary(cluster, golden.Options{})
	for ref, size := range map[string]int64{"small": 1 << 20, "large": 1536 << 20} {
		in := golden.Import{Source: image.Source{Path: random(b, size)}}
		where := volume.GoldenRef{Tenant: name, Name: ref, Version: "v1"}
		_, err := inFiles.ImportFiles(b.Context(), files, at, where, in)
		must(b, err)
		b.Cleanup(func() { must(b, inFiles.Delete(context.Background(), at, where)) })
		if ref == "small" {
			_, err = inImages.Import(b.Context(), at, where, in)
			must(b, err)
		}
	}
	p := cephfs.NewProvisioner(files, inFiles, cephfs.Options{})
	b.Cleanup(p.Close)
	all := []*kind{
		{backend: p, at: at, of: volume.CephFS, golden: "small"}, {backend: p, at: at, of: volume.CephFS, golden: "large"},
		{backend: rbd.NewProvisioner(cluster, inImages), at: at, of: volume.RBD, golden: "small"},
	}
	b.ResetTimer()
	for b.Loop() {
		measure(b, all)
	}
}

// kind is one kind of volume that is measured.
type kind struct {
	backend
	at     tenant.Place
	of     volume.Backend
	golden string
	took   []time.Duration
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// random writes a file that nothing can compress.
func random(b *testing.B, size int64) string {
	path := filepath.Join(b.TempDir(), "model")
	f, err := os.Create(path)
	must(b, err)
	_, err = io.CopyN(f, rand.Reader, size)
	must(b, err)
	must(b, f.Close())
	return path
}

// measure makes volumes of the kinds in turn, so that what else the machine
// does meets all of them, then 60 at once of each, and removes them.
func measure(b *testing.B, all []*kind) {
	for n := range sample {
		for _, k := range all {
			begun := time.Now()
			must(b, k.create(b.Context(), n))
			k.took = append(k.took, time.Since(begun))
		}
	}
	for _, k := range all {
		begun := time.Now()
		var group errgroup.Group
		for n := range 60 {
			group.Go(func() error { return k.create(b.Context(), sample+n) })
		}
		must(b, group.Wait())
		b.ReportMetric(time.Since(begun).Seconds(), k.unit("s/60-at-once"))
		slices.Sort(k.took)
		b.ReportMetric(float64(k.took[len(k.took)/2].Microseconds())/1e3, k.unit("p50-ms"))
		for n := range sample + 60 {
			must(b, k.Delete(b.Context(), k.at, k.at.VolumeID(k.of, fmt.Sprint(k.golden, n))))
		}
	}
}

func (k *kind) unit(of string) string { return string(k.of) + "-" + k.golden + "-" + of }

func (k *kind) create(ctx context.Context, n int) error {
	spec := volume.Spec{Name: fmt.Sprint(k.golden, n), ReadOnly: true}
	spec.Source.Golden = volume.GoldenRef{Tenant: k.at.Tenant(), Name: k.golden, Version: "v1"}
	_, err := k.Create(ctx, k.at, k.at, k.at.VolumeID(k.of, spec.Name), spec)
	return err
}
