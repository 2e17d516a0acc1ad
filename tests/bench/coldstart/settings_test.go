//go:build bench

package coldstart

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// settings are what hack/coldstart says.
type settings struct {
	Rounds int      `json:"rounds"`
	Calls  int      `json:"calls"`
	Rate   string   `json:"rate"`
	Ways   []string `json:"ways"`
	Model  prepared `json:"model"`
	Small  prepared `json:"small"` // for many functions at once

	kubernetes string // directories
	out        string
}

// prepared is a directory of hack/registry/prepare, and what is in it.
type prepared struct {
	dir    string
	Bytes  int64  `json:"bytes"`
	Apart  image  `json:"apart"`
	Baked  image  `json:"baked"`
	suffix string // of its goldens' names
	ports  ports
}

// image is what one weighs.
type image struct {
	Compressed int64 `json:"compressed"`
	Unpacked   int64 `json:"unpacked"`
}

// ports are those of the servers in the storage network.
type ports struct{ images, files string }

func readSettings(t testing.TB) settings {
	t.Helper()
	return settings{
		Rounds: number(t, "SDP_COLDSTART_ROUNDS", 3), Calls: number(t, "SDP_COLDSTART_CALLS", 5),
		Rate:  cmp.Or(os.Getenv("SDP_COLDSTART_RATE"), "1gbit"),
		Ways:  strings.Split(cmp.Or(os.Getenv("SDP_COLDSTART_WAYS"), "baked,download,rbd,cephfs"), ","),
		Model: weigh(t, "SDP_COLDSTART_MODEL", "", ports{"5000", "8080"}), Small: weigh(t, "SDP_COLDSTART_SMALL", "-small", ports{"5001", "8081"}),
		kubernetes: os.Getenv("SDP_KUBERNETES"), out: cmp.Or(os.Getenv("SDP_BENCH_OUT"), t.TempDir()),
	}
}

func number(t testing.TB, variable string, otherwise int) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv(variable), strconv.Itoa(otherwise)))
	if err != nil || n < 1 {
		t.Fatalf("%s must be a number: %v", variable, err)
	}
	return n
}

// weigh reads the directory that a variable names.
func weigh(t testing.TB, variable, suffix string, on ports) prepared {
	t.Helper()
	p := prepared{dir: os.Getenv(variable), suffix: suffix, ports: on}
	text, err := os.ReadFile(filepath.Join(p.dir, "images.json"))
	if err != nil {
		t.Fatalf("%s names no directory of hack/registry/prepare: %v", variable, err)
	}
	var sizes struct {
		Model        struct{ Bytes int64 }
		Apart, Baked image
	}
	if err := json.Unmarshal(text, &sizes); err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	p.Bytes, p.Apart, p.Baked = sizes.Model.Bytes, sizes.Apart, sizes.Baked
	return p
}

func (p prepared) file() string { return filepath.Join(p.dir, "model", "model.h5") }

// storage is the address of the storage network (hack/kube/wire).
const storage = "10.88.78.2"

func (p prepared) image(tag string) string {
	return storage + ":" + p.ports.images + "/function:" + tag
}

func (p prepared) url() string { return "http://" + storage + ":" + p.ports.files + "/model.h5" }

// images are the names of all functions' images.
func (s settings) images() []string {
	return []string{s.Model.image("apart"), s.Model.image("baked"), s.Small.image("apart"), s.Small.image("baked")}
}
