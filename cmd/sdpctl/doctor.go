package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	cephfuse "github.com/sdp-csi/sdp-csi/pkg/cephfs/fuse"
	"github.com/sdp-csi/sdp-csi/pkg/cephfs/kernel"
	"github.com/sdp-csi/sdp-csi/pkg/kubernetes"
	"github.com/sdp-csi/sdp-csi/pkg/kubernetes/checkup"
	"github.com/sdp-csi/sdp-csi/pkg/mount"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/fuse"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/krbd"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/nbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The areas that doctor looks at.
const (
	areaCeph       = "ceph"
	areaNode       = "node"
	areaKubernetes = "kubernetes"
)

// What a node can have.
const (
	areaImages = "images"
	areaFiles  = "CephFS"
)

// doctorFlags are those of `sdpctl doctor`.
type doctorFlags struct {
	only           []string
	at             kubernetes.Where
	namespace      string
	controllerUser string
	wanted         string // golden
	where
}

// installation looks at the driver in a Kubernetes cluster. Tests put a fake
// here.
type installation func(ctx context.Context, at kubernetes.Where, o checkup.Options) ([]checkup.Finding, error)

// lookAtInstallation connects to Kubernetes and looks.
func lookAtInstallation(ctx context.Context, at kubernetes.Where, o checkup.Options) ([]checkup.Finding, error) {
	clients, err := kubernetes.Connect(at)
	if err != nil {
		return nil, err
	}
	o.Client = clients.Typed
	return checkup.Run(ctx, o), nil
}

const doctorLong = `doctor looks at an installation and says for each fault what to do. It changes nothing (to find out whether a kernel
can map images it may load a module).

  ceph        the policy file, Ceph's monitors and OSDs with this user's key, versions, the rights of the tenants'
              users against the policy, users that are missing, goldens that were never sealed
  node        how this machine can map images and mount CephFS
  kubernetes  the CSIDriver object, the driver's pods and their sidecars, StorageClasses, Secrets against the keys

It ends with code 1 where something failed, and with 0 where there are warnings only, or checks that this user may not make.`

func newDoctorCommand(a *app) *cobra.Command {
	f := &doctorFlags{}
	cmd := &cobra.Command{
		Use:     "doctor",
		Short:   "Check an installation, and say what to fix",
		Long:    doctorLong,
		Example: "  sdpctl doctor\n  sdpctl doctor --only ceph,kubernetes --golden public/resnet50:v1 -o json",
		Args:    exactArgs(0, "no arguments"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.examine(cmd.Context(), f) },
	}
	f.where.flags(cmd)
	flags := cmd.Flags()
	flags.StringSliceVar(&f.only, "only", []string{areaCeph, areaNode, areaKubernetes}, "areas to look at")
	flags.StringVar(&f.at.Kubeconfig, "kubeconfig", "", "kubeconfig file (environment: KUBECONFIG)")
	flags.StringVar(&f.at.Context, "context", "", "context of the kubeconfig")
	flags.StringVarP(&f.namespace, "namespace", "n", "sdp-csi", "the driver's namespace")
	flags.StringVar(&f.controllerUser, "controller-user", "", "the controller's user in Ceph, to look at its rights")
	flags.StringVar(&f.wanted, "golden", "", "a golden that must be sealed: TENANT/NAME:VERSION")
	return cmd
}

func (a *app) examine(ctx context.Context, f *doctorFlags) error {
	var all []checkup.Finding
	for _, area := range f.only {
		switch area {
		case areaCeph:
			all = append(all, a.examineCeph(ctx, f)...)
		case areaNode:
			all = append(all, a.examineNode(ctx)...)
		case areaKubernetes:
			all = append(all, a.examineKubernetes(ctx, f)...)
		default:
			return fmt.Errorf("--only cannot be %.32q: use ceph, node, kubernetes: %w", area, errUsage)
		}
	}
	t := table{header: []string{"AREA", "CHECK", "RESULT", "FOUND"}}
	failed := 0
	for _, one := range all {
		t.rows = append(t.rows, []string{one.Area, one.Check, string(one.Level), one.Says})
		if one.Fix != "" {
			t.rows = append(t.rows, []string{"", "", "", "→ " + one.Fix})
		}
		if one.Level == checkup.Failed {
			failed++
		}
	}
	if err := a.print(slices.Concat([]checkup.Finding{}, all), t); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d checks failed: %w", failed, len(all), errUnwell)
	}
	return nil
}

// errUnwell is doctor's answer where a check failed.
var errUnwell = errors.New("what to do stands below each")

func (a *app) examineNode(ctx context.Context) []checkup.Finding {
	f := &checkup.Findings{Area: areaNode}
	abilities := a.abilities(ctx)
	for _, kind := range []string{areaImages, areaFiles} {
		var can, cannot []string
		for _, one := range abilities {
			switch {
			case one.kind != kind:
			case one.err == nil:
				can = append(can, one.name)
			default:
				cannot = append(cannot, one.name+": "+one.err.Error())
			}
		}
		switch {
		case len(can) > 0:
			f.Good(kind+" on this machine", "can be had by %s", strings.Join(can, ", "))
		default:
			f.Bad(kind+" on this machine", "load the module that is named, or give the container /dev/fuse; leave this out with --only where the machine is no node",
				"cannot be had: %s", strings.Join(cannot, "; "))
		}
	}
	return f.All
}

func (a *app) examineKubernetes(ctx context.Context, f *doctorFlags) []checkup.Finding {
	o := checkup.Options{Namespace: f.namespace}
	if _, err := a.loadPolicy(); err == nil {
		o.Golden, o.Fields = a.sealed, a.secretFields
	}
	all, err := a.installation(ctx, f.at, o)
	if err != nil {
		found := &checkup.Findings{Area: areaKubernetes}
		found.Doubt("the cluster", "name it with --kubeconfig, or leave it out with --only", "%s", err.Error())
		return found.All
	}
	return all
}

// sealed says whether a golden can be used; in whichever backend it is, where
// none is named.
func (a *app) sealed(ctx context.Context, cluster string, backend volume.Backend, ref volume.GoldenRef) error {
	at, err := a.place(ref.Tenant, cluster)
	if err != nil {
		return err
	}
	all, err := a.libraries()
	if err != nil {
		return err
	}
	l, err := all.of(ctx, at, ref)
	if err != nil {
		return err
	}
	if named := all[backend]; named != nil {
		l = named
	}
	_, err = l.Resolve(ctx, at, ref)
	return err
}

// ability is a way to have images, or CephFS, on a machine.
type ability struct {
	kind, name string
	err        error // why the machine cannot
}

// nodeAbilities asks this machine's kernel.
func nodeAbilities(ctx context.Context) []ability {
	host := mount.NewHost()
	return []ability{
		{areaImages, "krbd", krbd.New("/sys", "/dev").Available(ctx)},
		{areaImages, "nbd", nbd.New(nbd.Options{}).Available(ctx)},
		{areaImages, "fuse", fuse.New(fuse.Options{}).Available(ctx)},
		{areaFiles, "kernel", kernel.New(host).Available(ctx)},
		{areaFiles, "ceph-fuse", cephfuse.New(cephfuse.Options{Host: host}).Available(ctx)},
	}
}
