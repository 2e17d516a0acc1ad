package main

import (
	"context"

	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/ceph"
	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/driver"
	"github.com/sdp-csi/sdp-csi/pkg/mount"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/sharing"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// addNode adds the node's service. What a killed driver left half made goes
// before the first request can meet it.
func (p *process) addNode(ctx context.Context, reader *ceph.Reader) error {
	host, o := mount.NewHost(), p.sharing()
	images, err := p.imageStager(ctx, reader, host, o)
	if err != nil {
		return err
	}
	p.beside = append(p.beside, images.Run)
	stagers, shown := driver.Stagers{volume.RBD: images}, &goldens{images: images}
	inline := map[volume.Backend]driver.Goldens{volume.RBD: images}
	files, err := p.fileStager(ctx, reader, host, o)
	if err != nil {
		return err
	}
	if files != nil {
		p.beside = append(p.beside, files.Run)
		stagers[volume.CephFS], shown.files, inline[volume.CephFS] = files, files, files
	}
	p.registry.MustRegister(shown.describe())
	p.server.Node = driver.NewNode(driver.NodeOptions{
		ID: p.nodeID, MaxVolumes: p.maxVolumes, RequirePodInfo: p.requirePodInfo, Policy: p.source.Policy,
		Stager: stagers, Mounter: host, Goldens: inline,
	})
	return nil
}

// sharing says how goldens are shared, those of both backends within one limit.
func (p *process) sharing() sharing.Options {
	read := newPrefetchCounter(p.registry)
	return sharing.Options{
		StateDir: p.stateDir, Node: p.nodeID, Linger: p.goldenLinger, PrefetchLimit: p.prefetchLimit, Prefetches: &sharing.Prefetches{},
		Observe: func(tenant string, bytes int64) { read.WithLabelValues(tenant).Add(float64(bytes)) },
	}
}

// imageStager goes on with what was mapped under another --mapper.
func (p *process) imageStager(ctx context.Context, reader *ceph.Reader, host *mount.Host, o sharing.Options) (*rbd.Stager, error) {
	all := mappers(p.stateDir, p.starter())
	m, err := choose(ctx, "mapper", p.mapper, all)
	if err != nil {
		return nil, err
	}
	klog.FromContext(ctx).Info("mapping images", "mapper", m.name, "node", p.nodeID)
	tidy(ctx, all)
	var others []rbd.Mapper
	for _, other := range but(m, all) {
		others = append(others, other)
	}
	return rbd.NewStager(reader, rbd.Kinds(m.way, others...), host, p.server.Metrics).Share(o), nil
}

// fileStager goes on with what was mounted under another --cephfs-mounter. A
// node that can mount no CephFS, and was not told to, has none.
func (p *process) fileStager(ctx context.Context, reader *ceph.Reader, host *mount.Host, o sharing.Options) (*cephfs.Stager, error) {
	all := clients(host, p.stateDir, p.starter())
	c, err := choose(ctx, "cephfs-mounter", p.cephfsMounter, all)
	if err != nil && p.cephfsMounter == auto {
		klog.FromContext(ctx).Info("mounting no CephFS", "reason", oneLine(err))
		return nil, nil //nolint:nilnil // none is an answer
	}
	if err != nil {
		return nil, err
	}
	klog.FromContext(ctx).Info("mounting CephFS", "mounter", c.name, "node", p.nodeID)
	var others []cephfs.Mounter
	for _, other := range but(c, all) {
		others = append(others, other)
	}
	return cephfs.NewStager(ceph.NewFileReader(reader), cephfs.Kinds(c.way, others...), host, p.server.Metrics).Share(o), nil
}
