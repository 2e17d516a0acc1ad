package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/golden"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// trees makes volumes in CephFS.
func (d *desk) trees() provisioner {
	p := cephfs.NewProvisioner(d.files, golden.NewLibrary(d.files, golden.Options{}), cephfs.Options{})
	d.t.Cleanup(p.Close)
	return p
}

// fileVolume is desk.volume in CephFS.
func (d *desk) fileVolume(name, csiName, from string) volume.ID {
	d.t.Helper()
	return d.volumeOf(volume.CephFS, d.trees(), name, csiName, from)
}

func (d *desk) delete(p provisioner, id volume.ID) {
	d.t.Helper()
	at, err := (&app{policyPath: d.policy}).place(id.Tenant, id.Cluster)
	if err == nil {
		err = p.Delete(d.t.Context(), at, id)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// Goldens of both backends are imported, shown, listed and deleted with the
// same words; only import has to be told which.
func TestGoldensInFiles(t *testing.T) {
	d := newDesk(t)
	corpus := filepath.Join(t.TempDir(), "corpus")
	if err := os.MkdirAll(filepath.Join(corpus, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(corpus, "a", "b"), []byte("words"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.must("golden", "import", "acme/image:v1", d.model)
	first := d.must("golden", "import", "--tenant", "acme", "corpus:v1", corpus, "--backend", "cephfs", "-o", "json")
	if again := d.must("golden", "import", "--tenant", "acme", "corpus:v1", corpus, "--backend", "cephfs", "-o", "json"); again != first {
		t.Errorf("imported again it is\n%s\nand was\n%s", again, first)
	}
	var list []goldenAnswer
	if err := json.Unmarshal([]byte(d.must("golden", "list", "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].Golden != "acme/corpus:v1" || list[0].Backend != volume.CephFS || list[0].FsType != "cephfs" || list[1].Backend != volume.RBD {
		t.Errorf("list: %+v", list)
	}
	d.fileVolume("globex", "f", "acme/corpus:v1")
	if out := d.must("golden", "show", "acme/corpus:v1"); !strings.Contains(out, "cephfs") || !strings.Contains(out, "clones       1") {
		t.Errorf("show:\n%s", out)
	}
	_, stderr, code := d.run("golden", "delete", "acme/corpus:v1", "--retire-grace=0s")
	if code != exitInUse || !strings.Contains(stderr, "needed by 1 volumes") || !strings.Contains(stderr, "--golden acme/corpus:v1") {
		t.Errorf("delete with a volume: %d: %s", code, stderr)
	}
	d.must("golden", "retire", "acme/corpus:v1")
}

// What is in CephFS keeps its golden and its tenant, and is listed.
func TestVolumesInFiles(t *testing.T) {
	d := newDesk(t)
	d.must("tenant", "create", "globex")
	image, files := d.volume("globex", "v", ""), d.fileVolume("globex", "v", "")
	var got []volumeAnswer
	if err := json.Unmarshal([]byte(d.must("volume", "list", "-o", "json")), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].ID != image.String() || got[0].Backend != volume.RBD || got[1].ID != files.String() || got[1].Backend != volume.CephFS {
		t.Errorf("list: %+v", got)
	}
	for _, step := range []struct {
		remove func()
		code   int
	}{
		{func() { d.delete(d.images(), image) }, exitInUse}, {func() { d.delete(d.trees(), files) }, exitOK},
	} {
		step.remove()
		if _, stderr, code := d.run("tenant", "delete", "globex"); code != step.code || code == exitInUse && !strings.Contains(stderr, "fs.vol."+files.Hash) {
			t.Errorf("delete the tenant: %d, want %d: %s", code, step.code, stderr)
		}
	}
}

// A cluster without a file system is told what its row lacks.
func TestImportNeedsAFileSystem(t *testing.T) {
	d := newDesk(t)
	if err := os.WriteFile(d.policy, []byte(strings.Replace(policy, ", fileSystem: cephfs", "", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr, code := d.run("golden", "import", "acme/a:v1", d.model, "--backend", "cephfs")
	if code != exitUsage || !strings.Contains(stderr, "fileSystem: NAME") {
		t.Errorf("%d: %s", code, stderr)
	}
}
