package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

func TestNodeStatus(t *testing.T) {
	var out, problems bytes.Buffer
	a := &app{stdout: &out, stderr: &problems, survey: func(_ context.Context, stateDir string) ([]sharedAnswer, error) {
		if stateDir != "/run/other" {
			t.Errorf("asked for %s", stateDir)
		}
		return []sharedAnswer{
			{Golden: "public/a:v1", Device: "/dev/rbd0", Sharers: []string{"1", "2"}, Cached: 3 << 30},
			{Golden: "public/b:v1", Device: "/dev/rbd1", Cached: -1, Lingers: true},
		}, nil
	}}
	cmd := newRootCommand(a)
	cmd.SetArgs([]string{"node", "status", "--state-dir", "/run/other"})
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatalf("%v: %s", err, problems.String())
	}
	want := [][]string{
		{"GOLDEN", "DEVICE", "SHARERS", "CACHED", "STATE"},
		{"public/a:v1", "/dev/rbd0", "2", "3.0", "GiB", "in", "use"},
		{"public/b:v1", "/dev/rbd1", "0", "-", "lingers"},
	}
	for i, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		if got := strings.Fields(line); i >= len(want) || strings.Join(got, " ") != strings.Join(want[i], " ") {
			t.Errorf("line %d is %q", i, line)
		}
	}
}

func TestGoldenOfAnImage(t *testing.T) {
	for image, want := range map[string]string{
		"golden.corpus.2026-11": "acme/corpus:2026-11", "golden.llama.8b.q4": "acme/llama:8b.q4",
		"vol.1": "acme/vol.1", "golden.": "acme/golden.", "golden": "acme/golden",
	} {
		if got := goldenOf("acme", image); got != want {
			t.Errorf("image %s is golden %s, not %s", image, got, want)
		}
	}
}

// TestSurveyOfAnEmptyNode asks the real kernel about a directory that no
// driver has.
func TestSurveyOfAnEmptyNode(t *testing.T) {
	all, err := surveyNode(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range all {
		if !strings.HasPrefix(g.Device, "/dev/rbd") && !strings.HasPrefix(g.Device, "/dev/nbd") {
			t.Errorf("there is %+v", g)
		}
	}
}
