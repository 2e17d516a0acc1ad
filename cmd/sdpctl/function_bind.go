package main

import (
	"cmp"
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sdp-csi/sdp-csi/pkg/kubernetes/function"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// bindFlags are those of `sdpctl function bind`.
type bindFlags struct {
	where
	target
	golden, digest, path string
	container, secret    string
	backend              string
	claim, class         string
	fragment, inPlace    bool
}

const bindLong = `bind writes a golden, its digest and where it is mounted into the pod template of a function: as annotations
(<volume>.data.sdp.dev/golden, digest and path), a volume, and a read-only mount. The golden must be sealed, and
the function's tenant must be allowed to use it. What was bound to the same path before is replaced; to bind the
same again changes nothing.

With -f the file is written to the standard output, or with --in-place back; comments stay. With KIND NAME the live
object is changed, by replacing the very version that was read.

The volume is an inline one, read with the Secret sdp-ro of the namespace, or sdp-ro.CLUSTER for the policy's second
and further clusters. With --pvc it is a claim; with --class
too, a claim of that class is made where there is none of the name.`

func newFunctionBindCommand(a *app) *cobra.Command {
	f := &bindFlags{}
	cmd := &cobra.Command{
		Use:   "bind --golden GOLDEN --path PATH (KIND NAME | -f FILE [KIND NAME])",
		Short: "Write a golden, its digest and its mount into a function",
		Long:  bindLong,
		Example: `  sdpctl function bind --golden public/resnet50:v1 --path /data/model -n acme deployment classify
  sdpctl function bind --golden resnet50:v1 --path /data/model --pvc model --class sdp-resnet50 -f ksvc.yaml --in-place
  sdpctl function bind --golden resnet50:v1 --path /data/model --tenant acme --print-fragment`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.bindFunction(cmd, f, args) },
	}
	f.where.flags(cmd)
	f.target.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.golden, "golden", "", "the golden, as the function's tenant calls it: [TENANT/]NAME:VERSION")
	flags.StringVar(&f.digest, "digest", "", "the golden's digest, if it is known: Ceph and the policy are not asked then")
	flags.StringVar(&f.backend, "backend", string(volume.RBD), "with --digest: the storage that has the golden, rbd or cephfs")
	flags.StringVar(&f.path, "path", "", "where the function sees it, like /data/model")
	flags.StringVar(&f.container, "container", "", "the container that sees it, where there are several")
	flags.StringVar(&f.secret, "secret", "", "the Secret that an inline volume is read with (default "+function.DefaultSecret+"; for a second cluster of the policy "+function.DefaultSecret+".CLUSTER)")
	flags.StringVar(&f.claim, "pvc", "", "name of a PersistentVolumeClaim to use in place of an inline volume")
	flags.StringVar(&f.class, "class", "", "StorageClass of the golden, to make the claim of --pvc with")
	flags.BoolVar(&f.fragment, "print-fragment", false, "only print the annotations, the volume and the mount, for platforms with fields of their own")
	flags.BoolVar(&f.inPlace, "in-place", false, "write the file of -f instead of the standard output")
	return cmd
}

func (f *bindFlags) check(cmd *cobra.Command, args []string) error {
	switch {
	case f.golden == "" || f.path == "":
		return fmt.Errorf("%s needs --golden and --path: %w", cmd.CommandPath(), errUsage)
	case f.backend != string(volume.RBD) && f.backend != string(volume.CephFS):
		return fmt.Errorf("--backend cannot be %.32q: use rbd or cephfs: %w", f.backend, errUsage)
	case f.class != "" && f.claim == "":
		return fmt.Errorf("--class makes the claim of --pvc: name that too: %w", errUsage)
	case f.digest != "" && f.cluster != "" && f.claim == "" && f.secret == "":
		return fmt.Errorf("--digest leaves out the policy, which tells the Secret for --cluster: name it, --secret %s or %s.%s: %w",
			function.DefaultSecret, function.DefaultSecret, f.cluster, errUsage)
	case f.inPlace && (f.file == "" || f.file == "-"):
		return fmt.Errorf("--in-place needs a file, -f FILE: %w", errUsage)
	case f.fragment:
		return nil
	}
	return f.arguments(cmd, args)
}

func (a *app) bindFunction(cmd *cobra.Command, f *bindFlags, args []string) error {
	if err := f.check(cmd, args); err != nil {
		return err
	}
	ctx := cmd.Context()
	switch {
	case f.fragment:
		return a.printFragment(ctx, f)
	case f.file != "":
		return a.bindFile(ctx, f)
	}
	return a.bindLive(ctx, f)
}

// binding resolves the golden for a function in a namespace, and says how
// large a claim for it is.
func (a *app) binding(ctx context.Context, f *bindFlags, namespace string) (b function.Binding, size int64, err error) {
	ref, err := volume.ParseGoldenRef(f.golden)
	if err != nil {
		return b, 0, err
	}
	b = function.Binding{Golden: ref, Digest: f.digest, Path: f.path, Claim: f.claim, Cluster: f.cluster, Backend: volume.Backend(f.backend), Secret: f.secret}
	if err := b.Check(); err != nil || f.digest != "" {
		return b, volume.DefaultSize, err
	}
	if f.claim == "" {
		secret, err := a.inlineSecretOf(f.where, namespace)
		if err != nil {
			return b, 0, err
		}
		b.Secret = cmp.Or(f.secret, secret)
	}
	owner, err := a.owner(f.where, namespace, ref)
	if err != nil {
		return b, 0, err
	}
	all, err := a.libraries()
	if err != nil {
		return b, 0, err
	}
	l, err := all.of(ctx, owner, ref)
	if err != nil {
		return b, 0, err
	}
	g, err := l.Resolve(ctx, owner, ref)
	b.Digest, b.Backend = g.Digest, g.Backend()
	return b, g.Size, err
}

func (a *app) printFragment(ctx context.Context, f *bindFlags) error {
	b, _, err := a.binding(ctx, f, f.namespace)
	if err != nil {
		return err
	}
	text, err := b.Fragment()
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(a.stdout, text)
	return err
}

func (a *app) bindFile(ctx context.Context, f *bindFlags) error {
	file, err := a.readManifests(f.target)
	if err != nil {
		return err
	}
	var claim function.Claim
	err = file.Change(f.which, func(m *function.Manifest) error {
		b, size, err := a.binding(ctx, f, f.inPlaceOf(m))
		if err != nil {
			return err
		}
		claim = f.newClaim(m.Namespace(), size)
		return m.Bind(b, f.container)
	})
	if err != nil {
		return err
	}
	if f.class != "" && !file.Has(function.ClaimKind, claim.Name) {
		text, err := claim.Manifest()
		if err != nil {
			return err
		}
		file.Add(text)
	}
	if f.inPlace {
		return writeFile(f.file, file.String())
	}
	_, err = fmt.Fprint(a.stdout, file.String())
	return err
}

func (f *bindFlags) newClaim(namespace string, size int64) function.Claim {
	return function.Claim{Name: f.claim, Namespace: namespace, Class: f.class, Bytes: size}
}

// writeFile writes a file that is there, with the permissions that it has.
func writeFile(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	return nil
}

func (a *app) bindLive(ctx context.Context, f *bindFlags) error {
	live, err := a.functions(f.at, f.target.namespace)
	if err != nil {
		return err
	}
	b, size, err := a.binding(ctx, f, live.Namespace())
	if err != nil {
		return err
	}
	// The claim comes first: pods that start at once find it.
	if f.class != "" {
		if err := live.Claim(ctx, f.newClaim(live.Namespace(), size)); err != nil {
			return err
		}
	}
	if err := live.Change(ctx, f.which, func(m *function.Manifest) error { return m.Bind(b, f.container) }); err != nil {
		return err
	}
	return a.print(newBoundAnswer(b, stateBound), table{rows: [][]string{{
		fmt.Sprintf("%s %s in namespace %s has golden %s at %s.", f.which.Kind, f.which.Name, live.Namespace(), b.Golden, b.Path)}}})
}
