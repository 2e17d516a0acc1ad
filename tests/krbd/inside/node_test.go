//go:build krbd

package inside

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/mount"
	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/krbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
	"github.com/sdp-csi/sdp-csi/tests/krbd/scene"
)

// node is this machine as a node of the driver.
type node struct {
	t      *testing.T
	scene  scene.Scene
	policy *tenant.Policy
	mapper *krbd.Mapper
	host   *mount.Host
	stager *rbd.Stager
}

func newNode(t *testing.T) *node {
	t.Helper()
	s, err := scene.Read("/scene.json")
	if err != nil {
		t.Fatal(err)
	}
	policy, err := tenant.Parse([]byte(s.Policy))
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, scene: s, policy: policy, mapper: krbd.New("/sys", "/dev"), host: mount.NewHost()}
	n.stager = rbd.NewStager(handedOver{s}, n.mapper, n.host, unmeasured{})
	t.Cleanup(func() { n.isEmpty("after the test") })
	return n
}

// sub is n in a subtest.
func (n *node) sub(t *testing.T) *node {
	c := *n
	c.t = t
	return &c
}

// check runs one check as a subtest, which is counted.
func (n *node) check(name string, fn func(*node)) {
	n.t.Helper()
	if !n.t.Run(name, func(t *testing.T) { fn(n.sub(t)) }) {
		n.t.FailNow()
	}
}

// handedOver is an rbd.Reader of the records that came with the scene, for
// those whose key is one of the scene.
type handedOver struct{ scene scene.Scene }

func (h handedOver) Read(_ context.Context, _ tenant.Place, c volume.Credentials, name string) (rbd.Reading, error) {
	for _, user := range h.scene.Users {
		if user.Name == c.User && user.Key == c.Key.Reveal() {
			if r, ok := h.scene.Records[name]; ok {
				return r, nil
			}
			return rbd.Reading{}, volume.ErrNotFound
		}
	}
	return rbd.Reading{}, volume.ErrDenied
}

// MayRead lets the users of the scene read all: what a map with their keys
// does is the kernel's to say.
func (h handedOver) MayRead(context.Context, tenant.Place, volume.Credentials, rbd.Mapping) error {
	return nil
}

// Lease keeps nothing.
func (h handedOver) Lease(context.Context, tenant.Place, volume.Credentials, rbd.Mapping, string, time.Time) error {
	return nil
}

// unmeasured is rbd.Steps.
type unmeasured struct{}

func (unmeasured) Step(string) func() { return func() {} }

func (n *node) credentials(role string) volume.Credentials {
	u := n.scene.Users[role]
	return volume.Credentials{User: u.Name, Key: volume.Secret(u.Key)}
}

func (n *node) id(role string) volume.ID {
	n.t.Helper()
	id, err := volume.ParseID(n.scene.Volumes[role])
	if err != nil {
		n.t.Fatal(err)
	}
	return id
}

func (n *node) place(id volume.ID) tenant.Place {
	n.t.Helper()
	at, err := n.policy.Open(id)
	if err != nil {
		n.t.Fatal(err)
	}
	return at
}

// mapping is what names a volume's image, with its identity.
func (n *node) mapping(role string) rbd.Mapping {
	n.t.Helper()
	id := n.id(role)
	at := n.place(id)
	name := "vol." + id.Hash
	r := n.scene.Records[name]
	return rbd.Mapping{
		Monitors: at.Cluster().Monitors, Pool: at.Pool(), Namespace: at.Namespace(), Image: name,
		Identity: rbd.Identity{FSID: r.FSID, PoolID: r.PoolID},
	}
}

func staging(role string) string { return "/staging/" + role }

// tryStage stages a volume in the directory that the CO made.
func (n *node) tryStage(role, user string, edit func(*volume.Stage)) error {
	n.t.Helper()
	id := n.id(role)
	st := volume.Stage{ID: id, Path: staging(role), Credentials: n.credentials(user)}
	if edit != nil {
		edit(&st)
	}
	if err := os.MkdirAll(st.Path, 0o750); err != nil {
		n.t.Fatal(err)
	}
	return n.stager.Stage(n.t.Context(), n.place(id), st)
}

func (n *node) stage(role, user string, edit func(*volume.Stage)) {
	n.t.Helper()
	if err := n.tryStage(role, user, edit); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) unstage(role string) {
	n.t.Helper()
	id := n.id(role)
	if err := n.stager.Unstage(n.t.Context(), n.place(id), id, staging(role)); err != nil {
		n.t.Fatal(err)
	}
}

// device is what a staging directory shows.
func (n *node) device(role string) volume.Mount {
	n.t.Helper()
	m, err := n.host.Mounted(n.t.Context(), staging(role))
	if errors.Is(err, volume.ErrNotFound) {
		m, err = n.host.Mounted(n.t.Context(), filepath.Join(staging(role), volume.StagedDevice))
	}
	if err != nil {
		n.t.Fatal(err)
	}
	return m
}

func readOnly(st *volume.Stage) { st.ReadOnly = true }

func (n *node) wants(err, sentinel error) {
	n.t.Helper()
	if !errors.Is(err, sentinel) {
		n.t.Fatalf("got %v, want %v", err, sentinel)
	}
	n.t.Log(err)
	for _, user := range n.scene.Users {
		if err != nil && strings.Contains(err.Error(), user.Key) {
			n.t.Fatal("the error tells a key")
		}
	}
}

// isEmpty demands that no device and no mount of one is left.
func (n *node) isEmpty(when string) {
	n.t.Helper()
	devices, err := os.ReadDir("/sys/bus/rbd/devices")
	if err != nil || len(devices) > 0 {
		n.t.Errorf("%s: devices are left: %v %v", when, devices, err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), "/staging") {
		n.t.Errorf("%s: mounts are left: %v\n%s", when, err, mounts)
	}
}

// keepsKeys demands that the kernel shows no key of the scene: in no device's
// attributes, and in no keyring. The kernel forgets a key that was unlinked a
// moment later.
func (n *node) keepsKeys() {
	n.t.Helper()
	files, err := filepath.Glob("/sys/bus/rbd/devices/*/config_info")
	if err != nil || len(files) == 0 {
		n.t.Fatalf("no config_info to look into: %v", err)
	}
	for _, file := range append(files, "/proc/mounts", "/proc/cmdline") {
		text, err := os.ReadFile(file)
		if err != nil {
			n.t.Fatal(err)
		}
		for _, user := range n.scene.Users {
			if strings.Contains(string(text), user.Key) {
				n.t.Fatalf("%s tells the key of %s", file, user.Name)
			}
		}
	}
	n.eventually("no ceph key in /proc/keys", func() bool {
		keys, err := os.ReadFile("/proc/keys")
		return err == nil && !strings.Contains(string(keys), "sdp-csi")
	})
}

func (n *node) eventually(what string, ok func() bool) {
	n.t.Helper()
	for range 600 {
		if ok() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	n.t.Fatal("never: " + what)
}

func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return hex.EncodeToString(sum.Sum(nil)), err
}
