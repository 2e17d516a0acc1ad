package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/klog/v2"

	"github.com/sdp-csi/sdp-csi/pkg/build"
)

// errUsage is wrapped by errors of the command line.
var errUsage = errors.New("wrong usage")

func exitCode(err error) int {
	if errors.Is(err, errUsage) {
		return exitUsage
	}
	return exitFailed
}

const long = `sdp-csi is the CSI driver of the shared data plane: it makes volumes, blank or
from goldens, on Ceph RBD and CephFS, and shows them to pods.

It runs as a controller, once or as replicas behind leader-electing sidecars,
and as a node on every machine. The controller reads its key from the file that
the policy names; a node has no key of its own and uses that of each request.
As a mounter it starts, for a node in another container, the programs behind the
mappers nbd and fuse and behind ceph-fuse: they end with the container that has
started them, so that one is left alone when the node's is replaced.

Its probe is ready when Ceph can be reached: on a controller, when the monitors
and an OSD of a cluster answer; on a node, when a monitor's port does.

Exit codes: 0 after SIGTERM or Ctrl-C, 1 when it cannot start or serve, 2 for
wrong usage.`

const example = `  # The controller, beside its sidecars
  sdp-csi --mode=controller --endpoint=unix:///csi/csi.sock --config=/etc/sdp-csi/config.yaml

  # A node, with the first mapper that its kernel can do
  sdp-csi --mode=node --endpoint=unix:///csi/csi.sock --node-id="$NODE_NAME"

  # A node in a container, and the mounter of that machine in another one
  sdp-csi --mode=node --mapper=fuse --mounter-socket=/run/sdp-csi/mounter/socket --node-id="$NODE_NAME"
  sdp-csi --mode=mounter --mounter-socket=/run/sdp-csi/mounter/socket

  # Both on one machine without the kernel's RBD client, with metrics
  sdp-csi --mode=all --mapper=fuse --metrics-address=127.0.0.1:9808 -v=4`

func newCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use: "sdp-csi", Short: "The CSI driver of the shared data plane", Long: long, Example: example,
		Version: build.Version(), SilenceUsage: true, SilenceErrors: true, Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			switch o.mode {
			case modeTenants:
				return serveTenants(cmd.Context(), o)
			case modeMounter:
				return serveMounter(cmd.Context(), o)
			}
			return serve(cmd.Context(), o)
		},
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return fmt.Errorf("%w: run `sdp-csi --help`: %w", err, errUsage)
	})
	o.bind(cmd.Flags())
	return cmd
}

func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("sdp-csi takes flags only, got %.32q: run `sdp-csi --help`: %w", args[0], errUsage)
	}
	return nil
}

func (o *options) bind(flags *pflag.FlagSet) {
	flags.StringVar(&o.mode, "mode", modeAll, "what to serve: controller, node or all; tenants, which keeps the policy's tenants and their Secrets; or mounter, which starts a node's long-lived programs")
	flags.StringVar(&o.endpoint, "endpoint", cmp.Or(os.Getenv("CSI_ENDPOINT"), "unix:///csi/csi.sock"), "socket to serve CSI on (environment: CSI_ENDPOINT)")
	flags.StringVar(&o.config, "config", cmp.Or(os.Getenv("SDP_CONFIG"), "/etc/sdp-csi/config.yaml"), "policy file (environment: SDP_CONFIG); good edits come into force without a restart")
	flags.StringVar(&o.nodeID, "node-id", "", "name of this node (the host's name)")
	flags.StringVar(&o.mapper, "mapper", auto, "how a node makes devices of images: krbd, nbd, fuse, or auto for the first of these that the kernel can do")
	flags.StringVar(&o.cephfsMounter, "cephfs-mounter", auto, "how a node mounts CephFS: kernel, fuse (ceph-fuse), or auto for the first of these that the node can do")
	flags.StringVar(&o.stateDir, "state-dir", "/run/sdp-csi", "directory of the goldens' mounts, of the fuse mapper's and of ceph-fuse's, the same at each start")
	flags.StringVar(&o.mounterSocket, "mounter-socket", "", "socket of the mounter that starts a node's long-lived programs (none: the node itself)")
	flags.DurationVar(&o.goldenLinger, "golden-linger", 10*time.Minute, "how long a golden stays mapped after its last volume (0: not at all)")
	flags.DurationVar(&o.retireGrace, "retire-grace", 24*time.Hour, "how long a controller leaves a golden whose deletion was asked for, longer than --golden-linger of any node")
	flags.DurationVar(&o.createWait, "create-wait", time.Minute, "how long CreateVolume waits for the copy of a writable CephFS volume's content, at most until its caller's deadline; then it answers Aborted with the progress")
	flags.StringVar(&o.volumeUsers, "volume-users", usersBySelf, "who makes the users of writable CephFS volumes: self, for which a controller's key must have the right; or tenants, which is sdp-csi --mode=tenants of the same cluster")
	flags.Int64Var(&o.prefetchLimit, "prefetch-limit", 16<<30, "bytes of goldens that this node may hold by prefetching (0: no prefetch)")
	flags.Int64Var(&o.maxVolumes, "max-volumes", 0, "how many volumes this node can have (0: what the mapper can do)")
	flags.StringVar(&o.defaultTenant, "default-tenant", "", "tenant of requests that name no namespace (without one they are refused)")
	flags.BoolVar(&o.requirePodInfo, "require-pod-info", false, "refuse to publish where the request does not tell the pod's namespace (for Kubernetes, with podInfoOnMount)")
	flags.StringVar(&o.metrics, "metrics-address", "", "host:port to serve Prometheus metrics on (none)")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "file that names the Kubernetes cluster, for --mode=tenants (the pod's own cluster)")
	flags.StringVar(&o.namespace, "namespace", "", "the driver's namespace, where --mode=tenants keeps the nodes' Secrets (the pod's own)")
	flags.StringVar(&o.cephUser, "ceph-user", "", "Ceph's user of --mode=tenants, whose key is in the policy's keyFile (the policy's user)")
	flags.StringVar(&o.health, "health-address", "", "host:port on which --mode=tenants answers /healthz (none)")
	logging := flag.NewFlagSet("", flag.ContinueOnError)
	klog.InitFlags(logging)
	flags.AddGoFlag(logging.Lookup("v"))
	flags.AddGoFlag(logging.Lookup("vmodule"))
}
