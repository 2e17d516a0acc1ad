//go:build bench

package coldstart

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sdp-csi/sdp-csi/tests/cluster"
)

// way is how a function gets its model. The function is the same in all: one
// image, one program, the file at /model/model.h5.
type way struct {
	name   string
	tag    string // of the image
	class  string // of its claim, where it has one
	volume string // in YAML's flow style; %s is the claim
	fetch  bool   // an init container fetches the model first
}

// The names of the ways.
const (
	baked    = "baked"    // in the image
	download = "download" // fetched over HTTP when the pod starts
	sdpRBD   = "rbd"
	sdpFiles = "cephfs"
	local    = "local" // a directory of the node's disk: what no site has
)

func allWays(p prepared) []way {
	return []way{
		{name: baked, tag: "baked"},
		{name: download, tag: "apart", volume: "emptyDir: {}", fetch: true},
		{name: sdpRBD, tag: "apart", class: "model" + p.suffix, volume: "persistentVolumeClaim: {claimName: %s, readOnly: true}"},
		{name: sdpFiles, tag: "apart", class: "model-fs" + p.suffix, volume: "persistentVolumeClaim: {claimName: %s, readOnly: true}"},
		{name: local, tag: "apart", volume: "hostPath: {path: " + p.dir + "/model, type: Directory}"},
	}
}

// ways are those that are wanted.
func (s *stand) ways(p prepared) []way {
	return slices.DeleteFunc(allWays(p), func(w way) bool { return !slices.Contains(s.settings.Ways, w.name) })
}

// named is one of a model's ways.
func named(p prepared, name string) way {
	all := allWays(p)
	return all[slices.IndexFunc(all, func(w way) bool { return w.name == name })]
}

// function is one in the cluster: a way, a model and a name of its own.
type function struct {
	way
	name  string
	model prepared
}

func (f function) claim() cluster.Claim {
	return cluster.Claim{Namespace: tenant, Name: f.name, Class: f.class}
}

// spec is the function's part of a pod's specification.
func (f function) spec(indent string) string {
	text := fmt.Sprintf(`containers:
- name: function
  image: %s
  imagePullPolicy: IfNotPresent
  ports: [{containerPort: 8080}]
`, f.model.image(f.tag))
	if f.volume == "" {
		return indented(text, indent)
	}
	volume := f.volume
	if f.class != "" {
		volume = fmt.Sprintf(volume, f.name)
	}
	text += "  volumeMounts: [{name: model, mountPath: /model, readOnly: true}]\nvolumes: [{name: model, " + volume + "}]\n"
	if f.fetch {
		text += fmt.Sprintf(`initContainers:
- name: fetch
  image: %s
  imagePullPolicy: Never
  command: [wget, -q, -O, /model/model.h5, %q]
  volumeMounts: [{name: model, mountPath: /model}]
`, cluster.FunctionImage, f.model.url())
	}
	return indented(text, indent)
}

func indented(text, indent string) string {
	return indent + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+indent) + "\n"
}
