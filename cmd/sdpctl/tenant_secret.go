package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// secretPrefix and a namespace name the Secret that the StorageClasses'
// template csi.storage.k8s.io/node-stage-secret-name leads to.
const secretPrefix = "sdp-node-"

// inlineSecret is the Secret in a tenant's own namespace that its pods' inline
// volumes name (nodePublishSecretRef).
const inlineSecret = "sdp-ro"

// manifest is a Kubernetes Secret.
type manifest struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   metadata          `json:"metadata"`
	Type       string            `json:"type"`
	StringData map[string]string `json:"stringData"`
}

type metadata struct {
	Name      string            `json:"name"`
	Namespace string            `json:"namespace"`
	Labels    map[string]string `json:"labels"`
}

func newTenantSecretCommand(a *app) *cobra.Command {
	var namespaces []string
	var into string
	var inline bool
	cmd := onTenant(a, "secret TENANT", "Print the Kubernetes Secrets with a tenant's node keys",
		"  sdpctl tenant secret acme | kubectl apply -f -\n  sdpctl tenant secret acme --namespace acme-batch",
		func(cmd *cobra.Command, r *tenant.Registrar, at tenant.Place) error {
			names, err := a.secretNamespaces(at, namespaces)
			if err != nil {
				return err
			}
			if inline {
				return a.writeInlineSecrets(cmd.Context(), r, at, names, into)
			}
			keys, err := r.Keys(cmd.Context(), at)
			if err != nil {
				return err
			}
			return writeSecrets(a.stdout, at, names, secretName, into, keys)
		})
	cmd.Long = "secret prints one Secret per namespace of the tenant, " + secretPrefix + "<namespace>, as YAML for kubectl.\n" +
		"It prints keys: pipe it, do not keep it. Namespaces that the policy names by a pattern have to be named.\n" +
		"With --inline it is " + inlineSecret + " in each namespace, without a writing key, for the inline volumes of pods there.\n" +
		"Users who can read Secrets of the namespace can then read what the tenant's nodes can read."
	cmd.Flags().StringSliceVar(&namespaces, "namespace", nil, "only these Kubernetes namespaces of the tenant")
	cmd.Flags().BoolVar(&inline, "inline", false, "print "+inlineSecret+" for inline volumes, for a tenant that may have them")
	cmd.Flags().StringVar(&into, "secret-namespace", "", "Kubernetes namespace in which all Secrets are to be (default: each in its own)")
	return cmd
}

// secretNamespaces are the namespaces named, which must be the tenant's, or
// those that the policy names in full.
func (a *app) secretNamespaces(at tenant.Place, named []string) ([]string, error) {
	policy, err := a.loadPolicy()
	if err != nil {
		return nil, err
	}
	for _, n := range named {
		owner, err := policy.Admit(n, at.Cluster().ID)
		if err != nil {
			return nil, err
		}
		if owner.Tenant() != at.Tenant() {
			return nil, fmt.Errorf("namespace %s is of tenant %s: %w", n, owner.Tenant(), volume.ErrDenied)
		}
	}
	if len(named) > 0 {
		return named, nil
	}
	full := slices.DeleteFunc(slices.Clone(policy.Row(at).Namespaces), func(n string) bool { return strings.ContainsAny(n, "*?") })
	if len(full) == 0 {
		return nil, fmt.Errorf("the policy names no namespace of tenant %s in full: use --namespace: %w", at.Tenant(), volume.ErrInvalid)
	}
	return full, nil
}

func secretName(namespace string) string { return secretPrefix + namespace }

// writeInlineSecrets prints the Secrets for inline volumes, which pods find in
// their own namespaces only.
func (a *app) writeInlineSecrets(ctx context.Context, r *tenant.Registrar, at tenant.Place, namespaces []string, into string) error {
	policy, err := a.loadPolicy()
	if err != nil {
		return err
	}
	switch {
	case into != "":
		return fmt.Errorf("--inline goes without --secret-namespace: a pod names a Secret of its own namespace: %w", volume.ErrInvalid)
	case !policy.Inline(at):
		return fmt.Errorf("tenant %s may not have inline volumes: set `inline: true` in its row of the policy file: %w", at.Tenant(), volume.ErrDenied)
	}
	keys, err := r.Keys(ctx, at)
	if err != nil {
		return err
	}
	return writeSecrets(a.stdout, at, namespaces, func(string) string { return inlineSecret }, "", keys.ReadOnly())
}

func writeSecrets(w io.Writer, at tenant.Place, namespaces []string, name func(namespace string) string, into string, keys tenant.Keys) error {
	fields := keys.Fields()
	for i, n := range namespaces {
		m := manifest{
			APIVersion: "v1", Kind: "Secret", Type: "Opaque", StringData: fields,
			Metadata: metadata{Name: name(n), Namespace: n, Labels: map[string]string{"app.kubernetes.io/part-of": "sdp-csi", "sdp.dev/tenant": at.Tenant()}},
		}
		if into != "" {
			m.Metadata.Namespace = into
		}
		text, err := yaml.Marshal(m)
		if err != nil {
			return fmt.Errorf("encode the Secret: %w", err)
		}
		if i > 0 {
			text = append([]byte("---\n"), text...)
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	return nil
}
