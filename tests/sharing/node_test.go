package sharing

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sdp-csi/sdp-csi/tests/daemon"
)

// TestShare shows one golden to volumes of two tenants by one device, tells
// who reads it in Ceph, and refuses who may not, while it is mapped.
func TestShare(t *testing.T) {
	r := newRig(t)
	g := r.seed("model:v1", "erofs")
	metrics := daemon.FreeAddress(t)
	d := r.start("node", "--golden-linger=0s", "--metrics-address="+metrics)
	ctx, n := t.Context(), csi.NewNodeClient(d.Conn)
	var all []*function
	for _, w := range []want{
		{namespace: r.one, name: "first", golden: "model:v1", readOnly: true},
		{namespace: r.one, name: "second", golden: "model:v1", readOnly: true},
		{namespace: r.two, name: "third", golden: "model:v1", readOnly: true},
		{namespace: r.two, name: "private", golden: "model:v1", readOnly: true, parameters: map[string]string{"share": "clone"}},
	} {
		f := r.function("node", w, r.create(d, w))
		r.must(f.stage(ctx, n))
		r.must(f.publish(ctx, n))
		all = append(all, f)
	}
	if devices := filesWith("/sys/block/loop*/loop/backing_file", r.dir); len(devices) != 2 {
		t.Errorf("%d devices for three shared volumes and one clone: %q", len(devices), devices)
	}
	r.distinct(all)
	for _, f := range all {
		_, err := n.NodeGetVolumeStats(ctx, &csi.NodeGetVolumeStatsRequest{VolumeId: f.id, VolumePath: f.target})
		r.must(err)
		err = os.WriteFile(filepath.Join(f.target, "new"), nil, 0o600)
		if !errors.Is(err, syscall.EROFS) {
			t.Errorf("%s could be written: %v", f.name, err)
		}
	}
	_, err := n.NodeGetVolumeStats(ctx, &csi.NodeGetVolumeStatsRequest{VolumeId: all[0].id, VolumePath: all[1].target})
	r.expect("another volume's path", err, codes.NotFound)
	if leases := r.ceph.Rados("-p", r.pool, "-N", r.public, "listomapkeys", "sdp.lease."+g.ImageID+".nodes"); strings.TrimSpace(leases) != "node" {
		t.Errorf("the golden's leases are %q", leases)
	}
	r.showsStatus(3)
	wantMetrics(t, daemon.Scrape(t, metrics), r.public+"/"+g.Ref.Image())
	r.refusesStrangers(n)
	for _, f := range all {
		r.must(f.unpublish(ctx, n))
		r.must(f.unstage(ctx, n))
	}
	r.wantNothing()
}

// wantMetrics wants one golden with three sharers, of which something was read.
func wantMetrics(t *testing.T, text, golden string) {
	t.Helper()
	for _, line := range []string{"sdp_csi_goldens_mapped 1", "sdp_csi_golden_sharers 3", "sdp_csi_goldens_unknown 0"} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("the metrics lack %q", line)
		}
	}
	read := regexp.MustCompile(`\nsdp_csi_golden_read_bytes_total\{device="loop[0-9]+",golden="` + regexp.QuoteMeta(golden) + `"\} [1-9]`)
	if !read.MatchString(text) {
		t.Errorf("the metrics do not tell what was read of %s", golden)
	}
}

// showsStatus asks sdpctl what the node shares: one golden, which somebody has
// read.
func (r *rig) showsStatus(sharers int) {
	r.t.Helper()
	out, err := exec.CommandContext(r.t.Context(), daemon.Program(r.t, "sdpctl"), "node", "status", "--state-dir="+r.state("node"), "-o", "json").Output()
	r.must(err)
	var all []struct {
		Golden  string
		Device  string
		Sharers []string
	}
	r.must(json.Unmarshal(out, &all))
	if len(all) != 1 || len(all[0].Sharers) != sharers || all[0].Golden != r.public+"/model:v1" || all[0].Device == "" {
		r.t.Errorf("sdpctl node status says %s", out)
	}
}

// distinct checks that each volume has a device number of its own: a kubelet
// leaves a volume staged whose number is mounted elsewhere as well.
func (r *rig) distinct(all []*function) {
	r.t.Helper()
	seen := map[uint64]string{}
	for _, f := range all {
		var st syscall.Stat_t
		r.must(syscall.Stat(f.staging, &st))
		if other := seen[st.Dev]; other != "" {
			r.t.Errorf("%s and %s have one device number", other, f.name)
		}
		seen[st.Dev] = f.name
	}
}

func (r *rig) expect(what string, err error, code codes.Code) {
	r.t.Helper()
	if status.Code(err) != code {
		r.t.Errorf("%s: %v, want %s", what, err, code)
	}
}

// refusesStrangers stages a volume of tenant one with keys that may not: those
// of another tenant, and one that reads the tenant's own data and no golden.
func (r *rig) refusesStrangers(n csi.NodeClient) {
	r.t.Helper()
	w := want{namespace: r.one, name: "refused", golden: "model:v1", readOnly: true}
	at := r.place(r.one)
	f := r.function("node", w, at.VolumeID("rbd", "first").String())
	user := "bare-" + r.one
	bare := r.ceph.User(user, "mon", "profile rbd-read-only", "osd", "profile rbd-read-only pool="+r.pool+" namespace="+r.one)
	own := without(f.secrets, "golden.")
	for name, secrets := range map[string]map[string]string{
		"another tenant's keys":                   r.secrets(r.two),
		"a key without the golden":                {"userID": user, "userKey": bare},
		"the same, and the golden's reader":       with(f.secrets, "userID", user, "userKey", bare),
		"another tenant's key, this one's golden": with(r.secrets(r.two), "golden.", own["userID"]),
		"the tenant's name and a stranger's key":  with(own, "userKey", bare),
	} {
		f.secrets = secrets
		r.expect(name, f.stage(r.t.Context(), n), codes.PermissionDenied)
	}
}

// with is a secret with fields replaced.
func with(secrets map[string]string, pairs ...string) map[string]string {
	changed := without(secrets, "-")
	for i := 0; i < len(pairs); i += 2 {
		changed[pairs[i]] = pairs[i+1]
	}
	return changed
}

// TestUnclean shows what a pod has made durable in a volume that was copied
// while it was mounted.
func TestUnclean(t *testing.T) {
	for _, fsType := range []string{"ext4", "xfs"} {
		t.Run(fsType, func(t *testing.T) {
			r := newRig(t)
			d := r.start("node")
			ctx, n := t.Context(), csi.NewNodeClient(d.Conn)
			w := want{namespace: r.one, name: "written", fsType: fsType}
			source := r.function("node", w, r.create(d, w))
			r.must(source.stage(ctx, n))
			r.must(source.publish(ctx, n))
			r.durable(filepath.Join(source.target, "file"), "durable")
			snap, err := csi.NewControllerClient(d.Conn).CreateSnapshot(ctx, &csi.CreateSnapshotRequest{Name: "mounted", SourceVolumeId: source.id})
			r.must(err)
			w = want{namespace: r.one, name: "copy", fsType: fsType, snapshot: snap.GetSnapshot().GetSnapshotId(), readOnly: true}
			f := r.function("node", w, r.create(d, w))
			keys := f.secrets
			f.secrets = without(keys, "writer")
			r.expect("a reader's key", f.stage(ctx, n), codes.FailedPrecondition)
			f.secrets = keys
			for range 2 {
				r.must(f.stage(ctx, n))
				r.must(f.publish(ctx, n))
				if got, err := os.ReadFile(filepath.Join(f.target, "file")); string(got) != "durable" {
					t.Errorf("read %q, %v", got, err)
				}
				r.must(f.unpublish(ctx, n))
				r.must(f.unstage(ctx, n))
				f.secrets = without(keys, "writer") // it is clean now
			}
			r.must(source.unpublish(ctx, n))
			r.must(source.unstage(ctx, n))
			r.wantNothing()
		})
	}
}

// durable writes a file and waits until the volume has it; another change
// stays in the journal.
func (r *rig) durable(path, text string) {
	r.t.Helper()
	f, err := os.Create(path)
	r.must(err)
	defer f.Close()
	_, err = f.WriteString(text)
	r.must(err)
	r.must(f.Sync())
}

// TestTakeover refuses a second writer, and lets it in when the first one's
// node has died.
func TestTakeover(t *testing.T) {
	r := newRig(t)
	first, second := r.start("first"), r.start("second")
	ctx := t.Context()
	w := want{namespace: r.one, name: "written", fsType: "ext4"}
	id := r.create(first, w)
	here, there := r.function("first", w, id), r.function("second", w, id)
	r.must(here.stage(ctx, csi.NewNodeClient(first.Conn)))
	r.durable(filepath.Join(here.staging, "file"), "durable")
	err := there.stage(ctx, csi.NewNodeClient(second.Conn))
	r.expect("a second writer", err, codes.FailedPrecondition)
	if message := status.Convert(err).Message(); !strings.Contains(message, "127.0.0.1") {
		t.Errorf("the holder is not named: %s", message)
	}
	first.Kill(t)
	r.killExporters("first")
	eventually(t, "the second node takes the volume over", func() bool {
		err = there.stage(ctx, csi.NewNodeClient(second.Conn))
		return err == nil
	})
	if got, err := os.ReadFile(filepath.Join(there.staging, "file")); string(got) != "durable" {
		t.Errorf("read %q, %v", got, err)
	}
	r.must(there.unstage(ctx, csi.NewNodeClient(second.Conn)))
	again := r.start("first")
	r.must(here.unstage(ctx, csi.NewNodeClient(again.Conn)))
	r.wantNothing()
}

// TestRevive kills the process that serves a lingering golden: the next
// function gets a new one.
func TestRevive(t *testing.T) {
	r := newRig(t)
	r.seed("model:v1", "erofs")
	d := r.start("node")
	ctx, n := t.Context(), csi.NewNodeClient(d.Conn)
	w := want{namespace: r.one, name: "function", golden: "model:v1", readOnly: true}
	f := r.function("node", w, r.create(d, w))
	for range 2 {
		r.must(f.stage(ctx, n))
		r.must(f.publish(ctx, n))
		model, err := os.ReadFile(filepath.Join(f.target, "model.h5"))
		if err != nil || sha256.Sum256(model) != r.digests["model:v1"] {
			t.Fatalf("read %d wrong bytes: %v", len(model), err)
		}
		r.must(f.unpublish(ctx, n))
		r.must(f.unstage(ctx, n))
		if len(r.left()) == 0 {
			t.Fatal("the golden does not linger")
		}
		r.killExporters("node")
	}
	d.Kill(t)
	r.start("node", "--golden-linger=0s")
	r.wantNothing()
}

// killExporters kills the processes that serve a node's devices: its death.
func (r *rig) killExporters(node string) {
	r.t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	r.must(err)
	for _, file := range files {
		data, _ := os.ReadFile(file)
		if !strings.Contains(string(data), "sdp-export\x00"+r.state(node)) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		r.must(err)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			r.t.Fatal(err)
		}
		eventually(r.t, "a killed exporter has ended", func() bool { return hasEnded(pid) })
	}
}

// hasEnded says whether a process is gone, or nothing of it but its exit code:
// then the kernel has closed its files.
func hasEnded(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(after, "Z") || strings.HasPrefix(after, "X")
}
