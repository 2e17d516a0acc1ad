//go:build e2e

package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/tests/bench"
	"github.com/sdp-csi/sdp-csi/tests/cluster"
)

// laterFunctions is how many are timed after the first one.
const laterFunctions = 11

// csiBound is what staging and publishing should take for all but the first
// function of a golden on a node.
const csiBound = 50 // ms

// readOnce tells when the function started and when it had read everything: the
// container runtime notes the time of each line.
const readOnce = "echo start; cat /data/model.h5 >/dev/null; echo done; exec sleep 2147483647"

// course is how one function started: how long each step took.
type course struct {
	created   time.Duration // kubectl and the API server
	scheduled time.Duration
	stage     time.Duration // NodeStageVolume, as the kubelet saw it
	publish   time.Duration // NodePublishVolume, likewise
	mounting  time.Duration // all that the kubelet did for the volume, those two included
	started   time.Duration // from scheduled to the script's first line
	read      time.Duration
	all       time.Duration
}

// timing: how long a function takes from kubectl apply to having read its
// golden, step by step. Figures are written, not judged: the machine is shared.
func (s *scene) timing(t *testing.T) {
	cluster.Apply(t, cluster.Class("timed", "Immediate", `golden: "timed:v1"`))
	claims := make([]cluster.Claim, laterFunctions+1)
	for i := range claims {
		claims[i] = cluster.Claim{Namespace: "acme", Name: fmt.Sprint("timed-", i), Class: "timed"}
	}
	cluster.Bound(t, claims...)
	courses := make([]course, len(claims))
	for i, c := range claims {
		courses[i] = s.time(t, cluster.Function{Namespace: "acme", Name: c.Name, Volume: cluster.Of(c.Name), Script: readOnce})
	}
	report(t, courses)
}

// time starts a function and follows it.
func (s *scene) time(t *testing.T, f cluster.Function) course {
	t.Helper()
	before := kubeletTimes(t)
	seen := watch(t, f.Name)
	begin := time.Now()
	cluster.Start(t, f)
	created, scheduled := <-seen, <-seen
	cluster.WaitFor(t, f.Namespace, "condition=Ready", "pod/"+f.Name)
	started, done := lines(t, f)
	after := kubeletTimes(t)
	return course{
		created: created.Sub(begin), scheduled: scheduled.Sub(created),
		stage: after["NodeStageVolume"] - before["NodeStageVolume"], publish: after["NodePublishVolume"] - before["NodePublishVolume"],
		mounting: after["mount"] - before["mount"],
		started:  started.Sub(scheduled), read: done.Sub(started), all: done.Sub(begin),
	}
}

// watch tells when a pod was there and when it was scheduled. It watches all
// pods: once it sees the driver's, it misses nothing that comes later.
func watch(t *testing.T, name string) <-chan time.Time {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "kubectl", "get", "pods", "-A", "--watch", "-o", "json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	events := json.NewDecoder(out)
	if err := events.Decode(&pod{}); err != nil {
		t.Fatal(err)
	}
	seen := make(chan time.Time, 2)
	go func() {
		defer close(seen)
		tellCourse(events, name, seen)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	return seen
}

// pod is what is asked of one.
type pod struct {
	Metadata struct{ Name string }
	Spec     struct{ NodeName string }
}

func tellCourse(events *json.Decoder, name string, seen chan<- time.Time) {
	there := false
	for {
		var p pod
		if err := events.Decode(&p); err != nil {
			return
		}
		if p.Metadata.Name != name {
			continue
		}
		if !there {
			seen <- time.Now()
			there = true
		}
		if p.Spec.NodeName != "" {
			seen <- time.Now()
			return
		}
	}
}

// lines returns when the function printed its two lines.
func lines(t testing.TB, f cluster.Function) (started, done time.Time) {
	t.Helper()
	cluster.Eventually(t, "the function's lines", func() error {
		out, err := cluster.Try("-n", f.Namespace, "logs", "--timestamps", f.Name)
		if err != nil {
			return err
		}
		words := strings.Fields(out)
		if len(words) != 4 {
			return fmt.Errorf("%w: it printed %q", cluster.ErrNotYet, out)
		}
		started, err = time.Parse(time.RFC3339Nano, words[0])
		if err == nil {
			done, err = time.Parse(time.RFC3339Nano, words[2])
		}
		return err
	})
	return started, done
}

// kubeletTimes returns how long the kubelet has waited for the driver's calls so
// far, by the call's name, and all in all for mounting its volumes.
func kubeletTimes(t testing.TB) map[string]time.Duration {
	t.Helper()
	times := map[string]time.Duration{}
	for line := range strings.Lines(cluster.Kubectl(t, "get", "--raw", "/api/v1/nodes/node/proxy/metrics")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		seconds, err := strconv.ParseFloat(value, 64)
		if err != nil || !strings.Contains(name, cluster.DriverName) {
			continue
		}
		took := time.Duration(seconds * float64(time.Second))
		switch {
		case strings.HasPrefix(name, "csi_operations_seconds_sum"):
			_, method, _ := strings.Cut(name, "/csi.v1.Node/")
			method, _, _ = strings.Cut(method, `"`)
			times[method] += took
		case strings.HasPrefix(name, "storage_operation_duration_seconds_sum") && strings.Contains(name, "mount") && !strings.Contains(name, "unmount"):
			times["mount"] += took
		}
	}
	return times
}

// report prints the courses and writes the figures.
func report(t testing.TB, courses []course) {
	t.Helper()
	r := bench.Report{Name: "e2e"}
	r.Note("%-8s %9s %9s %9s %9s %9s %9s %9s %9s", "function", "apply", "schedule", "stage", "publish", "mount", "start", "read", "all")
	for i, c := range courses {
		r.Note("%-8d %9s %9s %9s %9s %9s %9s %9s %9s", i+1, round(c.created), round(c.scheduled), round(c.stage), round(c.publish),
			round(c.mounting), round(c.started), round(c.read), round(c.all))
	}
	later := courses[1:]
	r.Add("stage and publish of later functions, p50", median(later, func(c course) time.Duration { return c.stage + c.publish }), "ms", bench.Lower, csiBound)
	r.Add("apply to whole read, later functions over the first, p50", median(later, func(c course) time.Duration { return c.all })/median(courses[:1], func(c course) time.Duration { return c.all }), "x", bench.Lower, 1)
	if err := r.Write(cmp.Or(os.Getenv("SDP_BENCH_OUT"), t.TempDir())); err != nil {
		t.Error(err)
	}
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

func median(courses []course, of func(course) time.Duration) float64 {
	all := make([]time.Duration, len(courses))
	for i, c := range courses {
		all[i] = of(c)
	}
	return bench.Median(all)
}
