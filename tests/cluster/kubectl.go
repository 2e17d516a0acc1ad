package cluster

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
	// Patience bounds a wait for what Kubernetes does. On two busy cores it can
	// take long, so it is far above what is needed.
	Patience = 4 * time.Minute
	// commandPatience bounds one program.
	commandPatience = 2 * time.Minute
)

// Run runs a program to its end and returns what it printed.
func Run(ctx context.Context, input, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin = strings.NewReader(input)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(problem.String()))
	}
	return out.String(), nil
}

// Try runs kubectl. It does without the test's context, which has ended when
// a test cleans up.
func Try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandPatience)
	defer cancel()
	return Run(ctx, "", "kubectl", args...)
}

// Kubectl runs kubectl, which must succeed.
func Kubectl(t testing.TB, args ...string) string {
	t.Helper()
	out, err := Try(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Apply makes what the manifests say, until the test ends. A manifest names its
// own namespace.
func Apply(t testing.TB, manifests ...string) {
	t.Helper()
	text := strings.Join(manifests, "\n---\n")
	t.Cleanup(func() { Remove(t, text) })
	ctx, cancel := context.WithTimeout(t.Context(), commandPatience)
	defer cancel()
	if _, err := Run(ctx, text, "kubectl", "apply", "-f", "-"); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
}

// Remove takes what Apply made away and waits until it is gone: a claim's
// volume included, as the class's policy is Delete.
func Remove(t testing.TB, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if _, err := Run(ctx, text, "kubectl", "delete", "--ignore-not-found", "--timeout="+Patience.String(), "-f", "-"); err != nil {
		t.Error(err)
	}
}

// WaitFor waits until kubectl sees a condition: WaitFor(t, "acme",
// "condition=Ready", "pod/reader").
func WaitFor(t testing.TB, namespace, condition string, objects ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience+commandPatience)
	defer cancel()
	args := append([]string{"-n", namespace, "wait", "--for=" + condition, "--timeout=" + Patience.String()}, objects...)
	if _, err := Run(ctx, "", "kubectl", args...); err != nil {
		t.Fatal(err)
	}
}

// ErrNotYet is what Eventually's step returns while it has to go on.
var ErrNotYet = errors.New("not yet")

// Eventually repeats a step until it has no error.
func Eventually(t testing.TB, what string, step func() error) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for {
		err := step()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: after %s still: %v", what, Patience, err)
		}
		time.Sleep(500 * time.Millisecond)
	}
}

// Event waits for an event of an object whose message has all the words, and
// returns the message.
func Event(t testing.TB, namespace, object string, words ...string) string {
	t.Helper()
	var found string
	Eventually(t, "event of "+object+" with "+strings.Join(words, ", "), func() error {
		all, err := Try("-n", namespace, "get", "events", "--field-selector", "involvedObject.name="+object,
			"-o", `jsonpath={range .items[*]}{.message}{"\n"}{end}`)
		if err != nil {
			return err
		}
		for line := range strings.Lines(all) {
			if HasAll(line, words) {
				found = strings.TrimSpace(line)
				return nil
			}
		}
		return fmt.Errorf("%w: its events are\n%s", ErrNotYet, all)
	})
	return found
}

// HasAll tells whether a text has all the words.
func HasAll(text string, words []string) bool {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}
