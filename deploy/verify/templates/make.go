package templates

import (
	"fmt"
	"io/fs"
	"strings"
)

// header is the first line of each template.
const header = "{{- /* Written by `make chart` of deploy/kubernetes/%s: edit that. */ -}}\n"

// Make returns the templates of the chart, by file name, of the manifests in
// deploy/kubernetes.
func Make(manifests fs.FS) (map[string]string, error) {
	made := map[string]string{}
	for _, t := range table() {
		text, err := fs.ReadFile(manifests, t.from)
		if err != nil {
			return nil, err
		}
		body, err := t.apply(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.from, err)
		}
		made[t.to] = fmt.Sprintf(header, t.from) + body
	}
	return made, nil
}

// template says how one file becomes another.
type template struct {
	from, to string
	when     string // a condition on the values for the whole file
	puts     []put
}

// put replaces a text that stands in the file exactly so many times.
type put struct {
	times    int
	old, new string
}

func (t template) apply(text string) (string, error) {
	text = escape(text)
	for _, p := range append(everywhere(text), t.puts...) {
		if n := strings.Count(text, p.old); n != p.times {
			return "", fmt.Errorf("%q is there %d times, not %d: edit deploy/verify/templates", p.old, n, p.times)
		}
		text = strings.ReplaceAll(text, p.old, p.new)
	}
	if t.when != "" {
		text = "{{- if " + t.when + " }}\n" + text + "{{- end }}\n"
	}
	return text, nil
}

// escape keeps what is no template from being read as one. No manifest has
// such a text as yet, and it would be easy to overlook.
func escape(text string) string { return strings.ReplaceAll(text, "{{", `{{ "{{" }}`) }

// everywhere are the replacements of all files, for as often as they are met.
func everywhere(text string) []put {
	all := []put{
		{old: "image: sdp-csi:dev", new: `image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"`},
		{old: "namespace: sdp-csi\n", new: "namespace: {{ .Release.Namespace }}\n"},
		{old: "registry.k8s.io/sig-storage/", new: "{{ .Values.registry }}/"},
		{old: "/var/lib/kubelet/", new: "{{ .Values.kubelet }}/"},
	}
	for i := range all {
		all[i].times = strings.Count(text, all[i].old)
	}
	return all
}
