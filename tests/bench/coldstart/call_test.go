//go:build bench

package coldstart

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// requestPatience bounds a request, of a cold function too.
const requestPatience = 10 * time.Minute

// call is one request, as its client and its function saw it, in seconds.
type call struct {
	Way    string `json:"way"`
	Round  int    `json:"round"`
	Number int    `json:"number"` // of the round; the first is cold
	// Request is from when the client began until it had the whole answer.
	Request float64 `json:"requestSeconds"`
	// Latency is the part of it before the function had the request.
	Latency float64 `json:"latencySeconds"`
	// Execution is the part that the function had the request, until it answered:
	// the wait for the model is in it.
	Execution float64 `json:"executionSeconds"`
	// Load is how long the function loaded its model: nothing where it had it.
	// It can begin before the request is there.
	Load float64 `json:"loadSeconds"`
	// Waited is the part of the execution that the model was not there yet.
	Waited float64 `json:"waitedSeconds"`
	// Bytes came to the node meanwhile.
	Bytes  int64  `json:"networkBytes"`
	Digest string `json:"digest"`
}

// answer is what the function of hack/function says; times are Unix seconds.
type answer struct {
	PID         int
	Started     float64
	Imported    float64
	Loaded      float64
	Received    float64
	Answered    float64
	LoadSeconds float64 `json:"load_seconds"`
	Digest      string
}

// errNotListening is a function's that does not yet.
var errNotListening = errors.New("nobody listens")

// picture is an image of 64 by 64 in the function's raw form.
func picture() []byte {
	data := make([]byte, 0, 3*64*64*4)
	for i := range 3 * 64 * 64 {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(i%255)/255))
	}
	return data
}

// post asks a function, by a connection of its own.
func post(ctx context.Context, url string, headers map[string]string) (a answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(picture()))
	if err != nil {
		return a, err
	}
	request.Close = true
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return a, errors.Join(errNotListening, err)
	}
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return a, fmt.Errorf("%s: %s %s: %w", url, response.Status, text, err)
	}
	return a, json.Unmarshal(text, &a)
}

// call has a function answer and holds its answer to all others'.
func (s *stand) call(t *testing.T, p platform, f function) call {
	t.Helper()
	before := s.received(t)
	begin, a, err := p.request(t, f)
	if err != nil {
		t.Fatalf("%s: %v", f.name, err)
	}
	end := time.Now()
	s.same(t, f, a)
	return measured(f, begin, end, a, s.received(t)-before)
}

func measured(f function, begin, end time.Time, a answer, bytes int64) call {
	sent := float64(begin.UnixNano()) / 1e9
	c := call{
		Way: f.way.name, Request: end.Sub(begin).Seconds(), Latency: a.Received - sent, Execution: a.Answered - a.Received,
		Bytes: bytes, Digest: a.Digest,
	}
	if a.Started > sent { // it was started for this request
		c.Load, c.Waited = a.LoadSeconds, max(0, a.Loaded-a.Received)
	}
	return c
}

// same holds an answer to the first of all: it is one model, whichever way it
// came.
func (s *stand) same(t *testing.T, f function, a answer) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.digests[f.model.Bytes]
	if !ok {
		s.digests[f.model.Bytes], known = a.Digest, a.Digest
	}
	if a.Digest == "" || a.Digest != known {
		t.Errorf("%s answers %q where others answered %q", f.name, a.Digest, known)
	}
}
