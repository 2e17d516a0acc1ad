package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/build"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

const goodPolicy = `
clusters: [{id: main, monitors: ["127.0.0.1:1"], pool: rbd}]
tenants: [{name: acme, namespaces: [acme]}]
`

// Everything that keeps the driver from starting is told in one sentence, with
// the flag's name, and an exit code.
func TestStartRefuses(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml")
	for file, text := range map[string]string{good: goodPolicy, bad: "clusters: 7"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		args []string
		code int
		says string
	}{
		"argument":          {[]string{"serve"}, exitUsage, `"serve"`},
		"unknown flag":      {[]string{"--modus=all"}, exitUsage, "--modus"},
		"mode":              {[]string{"--mode=both"}, exitUsage, "controller, node, all, tenants or mounter"},
		"client of CephFS":  {[]string{"--cephfs-mounter=nfs"}, exitUsage, "auto, kernel or fuse"},
		"volume users":      {[]string{"--volume-users=nobody"}, exitUsage, "--volume-users"},
		"create wait":       {[]string{"--create-wait=0s"}, exitUsage, "--create-wait"},
		"mapper":            {[]string{"--mapper=iscsi"}, exitUsage, "auto, krbd, nbd or fuse"},
		"endpoint":          {[]string{"--endpoint=/csi.sock"}, exitUsage, "unix:///"},
		"long endpoint":     {[]string{"--endpoint=unix:///" + strings.Repeat("s", 107)}, exitUsage, "--endpoint"},
		"metrics address":   {[]string{"--metrics-address=9808"}, exitUsage, "host:port"},
		"negative volumes":  {[]string{"--max-volumes=-1"}, exitUsage, "--max-volumes"},
		"no number":         {[]string{"--max-volumes=many"}, exitUsage, "--max-volumes"},
		"state directory":   {[]string{"--state-dir=state"}, exitUsage, "--state-dir"},
		"detour":            {[]string{"--state-dir=/run/../run/sdp"}, exitUsage, "--state-dir"},
		"mounter's socket":  {[]string{"--mounter-socket=socket"}, exitUsage, "--mounter-socket"},
		"a long socket":     {[]string{"--mounter-socket=/" + strings.Repeat("s", 107)}, exitUsage, "--mounter-socket"},
		"no socket":         {[]string{"--mode=mounter"}, exitUsage, "--mounter-socket"},
		"node ID":           {[]string{"--node-id=" + strings.Repeat("n", 129)}, exitUsage, "--node-id"},
		"no policy":         {[]string{"--config=" + filepath.Join(dir, "none")}, exitFailed, "--config"},
		"bad policy":        {[]string{"--config=" + bad}, exitFailed, bad},
		"no controller key": {[]string{"--mode=controller", "--config=" + good}, exitFailed, "keyFile"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			cmd := newCommand()
			cmd.SetArgs(tc.args)
			cmd.SetOut(&out)
			cmd.SetErr(&out)
			err := cmd.ExecuteContext(t.Context())
			if err == nil || exitCode(err) != tc.code || !strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("exit code %d, error %v; want %d and %q", exitCode(err), err, tc.code, tc.says)
			}
			if out.Len() > 0 {
				t.Errorf("printed %s", out.Bytes())
			}
		})
	}
}

func TestHelpAndVersion(t *testing.T) {
	for arg, wants := range map[string][]string{
		"--help":    {"Examples:", "--mode=controller", "Exit codes", "--default-tenant", "-v, --v"},
		"--version": {"sdp-csi version " + build.Version()},
	} {
		var out bytes.Buffer
		cmd := newCommand()
		cmd.SetArgs([]string{arg})
		cmd.SetOut(&out)
		if err := cmd.ExecuteContext(t.Context()); err != nil {
			t.Error(err)
		}
		for _, want := range wants {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s does not tell %q:\n%s", arg, want, out.Bytes())
			}
		}
	}
}

// fakeMapper is there or not; nothing else is asked of it.
type fakeMapper struct {
	mapper
	err error
}

func (f fakeMapper) Available(context.Context) error { return f.err }

func TestChoose(t *testing.T) {
	none := errors.Join(volume.ErrUnsupported)
	for name, tc := range map[string]struct {
		flag            string
		krbd, nbd, fuse error
		want            string // empty: refused
	}{
		"all, auto":          {flag: auto, want: mapperKRBD},
		"no krbd, auto":      {flag: auto, krbd: none, want: mapperNBD},
		"only fuse, auto":    {flag: auto, krbd: none, nbd: none, want: mapperFUSE},
		"none, auto":         {flag: auto, krbd: none, nbd: none, fuse: none},
		"all, fuse":          {flag: mapperFUSE, want: mapperFUSE},
		"all but nbd, nbd":   {flag: mapperNBD, nbd: none},
		"all but krbd, krbd": {flag: mapperKRBD, krbd: none},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := choose(t.Context(), "mapper", tc.flag, []named[mapper]{
				{mapperKRBD, fakeMapper{err: tc.krbd}}, {mapperNBD, fakeMapper{err: tc.nbd}}, {mapperFUSE, fakeMapper{err: tc.fuse}},
			})
			if got.name != tc.want || (tc.want == "" && !errors.Is(err, volume.ErrUnsupported)) {
				t.Errorf("chose %q, %v; want %q", got.name, err, tc.want)
			}
		})
	}
}
