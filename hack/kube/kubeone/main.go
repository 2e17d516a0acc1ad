// Kubeone is Kubernetes in one program: its name, or else its first argument,
// says which part of it to be; the other arguments are that part's own. One program links what the parts
// share once, which makes it a third of the size and of the time to build.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // the parts' metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // their versions
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	// By its own name, as kubectl is called, or by its first argument.
	os.Args[0] = filepath.Base(os.Args[0])
	parts := parts()
	if parts[os.Args[0]] == nil && len(os.Args) > 1 {
		os.Args = os.Args[1:]
	}
	run := parts[os.Args[0]]
	if run == nil {
		names := slices.Sorted(maps.Keys(parts))
		fmt.Fprintln(os.Stderr, "usage: kubeone", strings.Join(names, "|"), "...")
		os.Exit(2)
	}
	os.Exit(run())
}

// parts gives what each part does, by its name.
func parts() map[string]func() int {
	return map[string]func() int{
		"etcd":                    runEtcd,
		"kube-apiserver":          daemon(func() *cobra.Command { return apiserver.NewAPIServerCommand() }),
		"kube-controller-manager": daemon(func() *cobra.Command { return controllers.NewControllerManagerCommand() }),
		"kube-scheduler":          daemon(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
		"kubelet":                 runKubelet,
		"kubectl":                 runKubectl,
	}
}

func daemon(command func() *cobra.Command) func() int {
	return func() int { return cli.Run(command()) }
}

func runEtcd() int {
	etcdmain.Main(os.Args)
	return 0
}

// runKubelet hands the kubelet a context: unlike the others it sets no handler
// of signals itself.
func runKubelet() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	return cli.Run(kubelet.NewKubeletCommand(ctx))
}

// runKubectl prints its own errors, as the others' commands do not.
func runKubectl() int {
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
