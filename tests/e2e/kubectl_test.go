//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const (
	// patience bounds a wait for what Kubernetes does. On two busy cores it can
	// take long, so it is far above what is needed.
	patience = 4 * time.Minute
	// commandPatience bounds one program.
	commandPatience = 2 * time.Minute
)

// run runs a program to its end and returns what it printed.
func run(ctx context.Context, input, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin = strings.NewReader(input)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(problem.String()))
	}
	return out.String(), nil
}

// try runs kubectl. It does without the test's context, which has ended when
// a test cleans up.
func try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandPatience)
	defer cancel()
	return run(ctx, "", "kubectl", args...)
}

// kubectl runs kubectl, which must succeed.
func kubectl(t testing.TB, args ...string) string {
	t.Helper()
	out, err := try(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// apply makes what the manifests say, until the test ends. A manifest names its
// own namespace.
func apply(t testing.TB, manifests ...string) {
	t.Helper()
	text := strings.Join(manifests, "\n---\n")
	t.Cleanup(func() { remove(t, text) })
	ctx, cancel := context.WithTimeout(t.Context(), commandPatience)
	defer cancel()
	if _, err := run(ctx, text, "kubectl", "apply", "-f", "-"); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}

// remove takes what apply made away and waits until it is gone: a claim's
// volume included, as the class's policy is Delete.
func remove(t testing.TB, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := run(ctx, text, "kubectl", "delete", "--ignore-not-found", "--timeout="+patience.String(), "-f", "-"); err != nil {
		t.Error(err)
	}
}

// waitFor waits until kubectl sees a condition: waitFor(t, "acme",
// "condition=Ready", "pod/reader").
func waitFor(t testing.TB, namespace, condition string, objects ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience+commandPatience)
	defer cancel()
	args := append([]string{"-n", namespace, "wait", "--for=" + condition, "--timeout=" + patience.String()}, objects...)
	if _, err := run(ctx, "", "kubectl", args...); err != nil {
		t.Fatal(err)
	}
}

// errNotYet is what eventually's step returns while it has to go on.
var errNotYet = errors.New("not yet")

// eventually repeats a step until it has no error.
func eventually(t testing.TB, what string, step func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := step()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: after %s still: %v", what, patience, err)
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// event waits for an event of an object whose message has all the words, and
// returns the message.
func event(t testing.TB, namespace, object string, words ...string) string {
	t.Helper()
	var found string
	eventually(t, "event of "+object+" with "+strings.Join(words, ", "), func() error {
		all, err := try("-n", namespace, "get", "events", "--field-selector", "involvedObject.name="+object,
			"-o", `jsonpath={range .items[*]}{.message}{"\n"}{end}`)
		if err != nil {
			return err
		}
		for line := range strings.Lines(all) {
			if hasAll(line, words) {
				found = strings.TrimSpace(line)
				return nil
			}
		}
		return fmt.Errorf("%w: its events are\n%s", errNotYet, all)
	})
	return found
}

func hasAll(text string, words []string) bool {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}
