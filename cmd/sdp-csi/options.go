package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The values of --mode.
const (
	modeController = "controller"
	modeNode       = "node"
	modeAll        = "all"
	modeMounter    = "mounter"
)

// The values of --volume-users.
const (
	usersBySelf    = "self"
	usersByTenants = "tenants"
)

// maxNodeID is what CSI recommends for a node's name, in bytes.
const maxNodeID = 128

// maxSocket is what the kernel allows a socket's path, in bytes (unix(7)).
const maxSocket = 107

// options are the flags.
type options struct {
	mode, endpoint, config   string
	nodeID, mapper, stateDir string
	mounterSocket            string
	cephfsMounter            string
	maxVolumes               int64
	goldenLinger             time.Duration
	retireGrace, createWait  time.Duration
	prefetchLimit            int64
	defaultTenant, metrics   string
	requirePodInfo           bool
	volumeUsers              string
	// Of modeTenants alone.
	kubeconfig, namespace, health, cephUser string
}

func (o *options) controls() bool { return o.mode == modeController || o.mode == modeAll }

func (o *options) mounts() bool { return o.mode == modeNode || o.mode == modeAll }

// check refuses flags that cannot be meant, and fills in the node's name.
func (o *options) check() error {
	switch {
	case !slices.Contains([]string{modeController, modeNode, modeAll, modeTenants, modeMounter}, o.mode):
		return fmt.Errorf("--mode cannot be %.32q: use controller, node, all, tenants or mounter: %w", o.mode, errUsage)
	case !slices.Contains([]string{auto, mapperKRBD, mapperNBD, mapperFUSE}, o.mapper):
		return fmt.Errorf("--mapper cannot be %.32q: use auto, krbd, nbd or fuse: %w", o.mapper, errUsage)
	case !slices.Contains([]string{auto, clientKernel, clientFUSE}, o.cephfsMounter):
		return fmt.Errorf("--cephfs-mounter cannot be %.32q: use auto, kernel or fuse: %w", o.cephfsMounter, errUsage)
	case !strings.HasPrefix(o.endpoint, "unix:///"):
		return fmt.Errorf("--endpoint cannot be %.128q: use unix:///absolute/path: %w", o.endpoint, errUsage)
	case len(o.endpoint) > len("unix://")+maxSocket:
		return fmt.Errorf("--endpoint has a path of %d bytes, a socket's has %d at most: %w", len(o.endpoint)-len("unix://"), maxSocket, errUsage)
	case o.maxVolumes < 0:
		return fmt.Errorf("--max-volumes cannot be %d: use 0 for what the mapper can do: %w", o.maxVolumes, errUsage)
	case o.goldenLinger < 0:
		return fmt.Errorf("--golden-linger cannot be %s: use 0 to unmap at once: %w", o.goldenLinger, errUsage)
	case o.retireGrace < 0:
		return fmt.Errorf("--retire-grace cannot be %s: use 0 to delete at once: %w", o.retireGrace, errUsage)
	case o.createWait <= 0:
		return fmt.Errorf("--create-wait cannot be %s: use a time like 60s: %w", o.createWait, errUsage)
	case o.volumeUsers != usersBySelf && o.volumeUsers != usersByTenants:
		return fmt.Errorf("--volume-users cannot be %.32q: use self or tenants: %w", o.volumeUsers, errUsage)
	case o.prefetchLimit < 0:
		return fmt.Errorf("--prefetch-limit cannot be %d: use 0 to prefetch nothing: %w", o.prefetchLimit, errUsage)
	case !isPath(o.stateDir):
		return fmt.Errorf("--state-dir cannot be %.128q: use an absolute path without detours: %w", o.stateDir, errUsage)
	case o.mounterSocket == "" && o.mode == modeMounter:
		return fmt.Errorf("--mode=mounter needs --mounter-socket, which the nodes have as well: %w", errUsage)
	case o.mounterSocket != "" && (!isPath(o.mounterSocket) || len(o.mounterSocket) > maxSocket):
		return fmt.Errorf("--mounter-socket cannot be %.128q: use an absolute path without detours of at most %d bytes: %w", o.mounterSocket, maxSocket, errUsage)
	}
	if err := o.checkMetrics(); err != nil {
		return err
	}
	return o.nameNode()
}

func isPath(s string) bool { return filepath.IsAbs(s) && filepath.Clean(s) == s && s != "/" }

func (o *options) checkMetrics() error {
	if o.metrics == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(o.metrics); err != nil {
		return fmt.Errorf("--metrics-address cannot be %.128q: use host:port, like 127.0.0.1:9808: %w", o.metrics, errUsage)
	}
	return nil
}

func (o *options) nameNode() error {
	if !o.mounts() {
		return nil
	}
	if o.nodeID == "" {
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("find the host's name, or say it with --node-id: %w", err)
		}
		o.nodeID = host
	}
	if len(o.nodeID) > maxNodeID {
		return fmt.Errorf("--node-id has %d bytes, CSI allows %d: %w", len(o.nodeID), maxNodeID, errUsage)
	}
	return nil
}
