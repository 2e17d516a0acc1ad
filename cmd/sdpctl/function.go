package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/sdp-csi/sdp-csi/pkg/kubernetes"
	"github.com/sdp-csi/sdp-csi/pkg/kubernetes/function"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// functions are the functions of one namespace of a Kubernetes cluster.
type functions interface {
	Namespace() string
	Read(ctx context.Context, w function.Which) (*function.Manifest, error)
	Change(ctx context.Context, w function.Which, change func(*function.Manifest) error) error
	Claim(ctx context.Context, c function.Claim) error
}

// liveFunctions connects to Kubernetes.
func liveFunctions(at kubernetes.Where, namespace string) (functions, error) {
	clients, err := kubernetes.Connect(at)
	if err != nil {
		return nil, err
	}
	return function.NewLive(clients, namespace), nil
}

func newFunctionCommand(a *app) *cobra.Command {
	cmd := group("function", "Let functions know their data: bind goldens to them, and show what is bound",
		newFunctionBindCommand(a), newFunctionShowCommand(a))
	cmd.Example = `  sdpctl function bind --golden public/resnet50:v1 --path /data/model -f function.yaml > bound.yaml
  sdpctl function show ksvc classify -n acme`
	return cmd
}

// target are the flags and arguments that say which function is meant: one of
// a file, or one of a cluster.
type target struct {
	file      string
	namespace string
	at        kubernetes.Where
	which     function.Which
}

func (t *target) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&t.file, "filename", "f", "", "file of manifests, - for the standard input, in place of a live object")
	cmd.Flags().StringVarP(&t.namespace, "namespace", "n", "", "namespace of the function (the manifest's, the kubeconfig's)")
	cmd.Flags().StringVar(&t.at.Kubeconfig, "kubeconfig", "", "kubeconfig file (environment: KUBECONFIG)")
	cmd.Flags().StringVar(&t.at.Context, "context", "", "context of the kubeconfig")
}

// arguments reads KIND NAME. With a file they may be left out where it has one
// function only.
func (t *target) arguments(cmd *cobra.Command, args []string) error {
	if len(args) == 2 {
		t.which = function.Which{Kind: args[0], Name: args[1]}
		return nil
	}
	if len(args) == 0 && t.file != "" {
		return nil
	}
	return fmt.Errorf("%s needs KIND NAME, like ksvc classify, or -f FILE, got %d arguments: %w", cmd.CommandPath(), len(args), errUsage)
}

// read returns the file's manifests.
func (a *app) readManifests(t target) (*function.File, error) {
	var data []byte
	var err error
	if t.file == "-" {
		data, err = io.ReadAll(a.stdin)
	} else {
		data, err = os.ReadFile(t.file)
	}
	if err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	return function.ParseFile(data), nil
}

// inPlaceOf returns the namespace in which a function is: what the command
// line says, or its manifest.
func (t target) inPlaceOf(m *function.Manifest) string {
	if t.namespace != "" {
		return t.namespace
	}
	return m.Namespace()
}

// functionPlace returns the place of the tenant that a function is of: that of
// --tenant, or of the namespace.
func (a *app) functionPlace(w where, namespace string) (*tenant.Policy, tenant.Place, error) {
	policy, err := a.loadPolicy()
	if err != nil {
		return nil, tenant.Place{}, err
	}
	if w.tenant == "" && namespace == "" {
		return nil, tenant.Place{}, fmt.Errorf("whose function it is is not known: name its --namespace or its --tenant: %w", volume.ErrInvalid)
	}
	if w.tenant != "" {
		at, err := policy.Default(w.tenant, w.cluster)
		return policy, at, err
	}
	at, err := policy.Admit(namespace, w.cluster)
	return policy, at, err
}

// owner returns where a golden lies that a function's tenant names.
func (a *app) owner(w where, namespace string, ref volume.GoldenRef) (tenant.Place, error) {
	policy, at, err := a.functionPlace(w, namespace)
	if err != nil {
		return tenant.Place{}, err
	}
	return policy.Golden(at, ref)
}

// inlineSecretOf names the Secret in the function's namespace with the keys of
// its cluster, as --mode=tenants does. It refuses an inline volume that the
// tenant's pods may not have.
func (a *app) inlineSecretOf(w where, namespace string) (string, error) {
	policy, at, err := a.functionPlace(w, namespace)
	switch {
	case err != nil:
		return "", err
	case policy.Inline(at) && at.Cluster() == policy.Clusters()[0]:
		return function.DefaultSecret, nil
	case policy.Inline(at):
		return function.DefaultSecret + "." + at.Cluster().ID, nil
	}
	return "", fmt.Errorf("tenant %s may not have inline volumes: use --pvc NAME, or set `inline: true` in its row of the policy file: %w", at.Tenant(), volume.ErrDenied)
}
