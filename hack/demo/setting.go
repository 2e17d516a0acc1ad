package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// python is the distribution's, whose h5py and numpy the demo installs.
const python = "/usr/bin/python3"

// pool and fileSystem are where the demo's tenants live. The data of files are
// in dataPool.
const (
	pool       = "rbd"
	fileSystem = "cephfs"
	dataPool   = "cephfs.data"
)

func (d *demo) startCeph(ctx context.Context) error {
	d.ceph = filepath.Join(d.dir, "ceph")
	d.onUndo(d.stopCeph)
	if err := d.command(ctx, d.script(), "up", d.ceph); err != nil {
		return err
	}
	return d.ensurePool(ctx)
}

func (d *demo) stopCeph(ctx context.Context) error { return d.command(ctx, d.script(), "down", d.ceph) }

func (d *demo) script() string { return filepath.Join(d.repo, "hack", "ceph") }

func (d *demo) ensurePool(ctx context.Context) error {
	pools, err := d.cephCommand(ctx, "osd", "pool", "ls")
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(string(pools)) {
		if name == pool {
			return nil
		}
	}
	if _, err := d.cephCommand(ctx, "osd", "pool", "create", pool, "8"); err != nil {
		return err
	}
	_, err = d.cephCommand(ctx, "osd", "pool", "application", "enable", pool, "rbd")
	return err
}

func (d *demo) cephCommand(ctx context.Context, args ...string) ([]byte, error) {
	return exec.CommandContext(ctx, "ceph", append([]string{"-c", filepath.Join(d.ceph, "ceph.conf")}, args...)...).Output()
}

// createTenants writes the policy file and lets sdpctl make the tenants.
func (d *demo) createTenants(ctx context.Context) error {
	if err := d.writePolicy(ctx); err != nil {
		return err
	}
	for _, t := range []string{"acme", "globex"} {
		if err := d.command(ctx, d.bin("sdpctl"), d.sdpctl("tenant", "create", t)...); err != nil {
			return err
		}
	}
	return nil
}

const policyText = `clusters:
  - id: demo
    monitors: ["%s"]
    pool: %s
    fileSystem: %s
    user: admin
    keyFile: %s
tenants:
  - name: acme
    namespaces: [acme]
  - name: globex
    namespaces: [globex]
`

func (d *demo) writePolicy(ctx context.Context) error {
	monitor, err := d.monitor(ctx)
	if err != nil {
		return err
	}
	key, err := d.cephCommand(ctx, "auth", "get-key", "client.admin")
	if err != nil {
		return fmt.Errorf("read the admin's key: %w", err)
	}
	keyFile := filepath.Join(d.dir, "admin.key")
	if err := os.WriteFile(keyFile, key, 0o600); err != nil {
		return err
	}
	d.policy = filepath.Join(d.dir, "policy.yaml")
	return os.WriteFile(d.policy, fmt.Appendf(nil, policyText, monitor, pool, fileSystem, keyFile), 0o600)
}

// monitor returns the IP:PORT of the monitor's messenger v2.
func (d *demo) monitor(ctx context.Context) (string, error) {
	out, err := d.cephCommand(ctx, "mon", "dump", "--format", "json")
	if err != nil {
		return "", fmt.Errorf("ask for the monitors: %w", err)
	}
	var dump struct {
		Mons []struct {
			PublicAddrs struct {
				Addrvec []struct{ Type, Addr string }
			} `json:"public_addrs"`
		}
	}
	if err := json.Unmarshal(out, &dump); err != nil {
		return "", fmt.Errorf("read the monitors: %w", err)
	}
	for _, m := range dump.Mons {
		for _, a := range m.PublicAddrs.Addrvec {
			if a.Type == "v2" {
				return a.Addr, nil
			}
		}
	}
	return "", fmt.Errorf("no monitor speaks the messenger v2")
}

func (d *demo) makeModel(ctx context.Context) error {
	dir := filepath.Join(d.dir, "model")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	d.model = filepath.Join(dir, "model.h5")
	script := filepath.Join(d.repo, "hack/function/model.py")
	if err := d.command(ctx, python, script, d.model, "--size", strconv.FormatInt(d.size, 10)); err != nil {
		return err
	}
	var err error
	d.original, err = d.runFunction(ctx, d.model, "--digest")
	return err
}

func (d *demo) importGolden(ctx context.Context) error {
	return d.command(ctx, d.bin("sdpctl"), d.sdpctl("golden", "import", "--backend", d.backend, "--tenant", "acme", golden, d.model)...)
}
