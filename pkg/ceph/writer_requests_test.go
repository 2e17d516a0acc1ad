package ceph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ceph/go-ceph/rados"

	"github.com/sdp-csi/sdp-csi/pkg/cephfs"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// TestInsist: a request is made again while nobody answers, for a minute or
// until two seconds before its caller gives up.
func TestInsist(t *testing.T) {
	absent := fmt.Errorf("nobody: %w", volume.ErrUnavailable)
	refused := fmt.Errorf("no: %w", volume.ErrDenied)
	for name, tc := range map[string]struct {
		caller time.Duration // 0: without an end
		since  time.Duration // when somebody answers
		answer error
		want   error
		after  time.Duration
	}{
		"at once":               {0, 0, nil, nil, 0},
		"refused":               {0, 0, refused, volume.ErrDenied, 0},
		"a leader that begins":  {0, 40 * time.Second, nil, nil, 40 * time.Second},
		"refused later":         {0, 5 * time.Second, refused, volume.ErrDenied, 5 * time.Second},
		"never":                 {0, time.Hour, nil, volume.ErrUnavailable, time.Minute},
		"too late for a caller": {10 * time.Second, 9 * time.Second, nil, volume.ErrUnavailable, 8 * time.Second},
		"a caller in a hurry":   {time.Second, time.Hour, nil, volume.ErrUnavailable, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tc.caller > 0 {
					ctx, cancel = context.WithTimeout(ctx, tc.caller)
					defer cancel()
				}
				begun := time.Now()
				err := insist(ctx, func(context.Context) error {
					if time.Since(begun) < tc.since {
						return absent
					}
					return tc.answer
				})
				if !errors.Is(err, tc.want) || time.Since(begun) != tc.after {
					t.Errorf("after %s: %v; want %v after %s", time.Since(begun), err, tc.want, tc.after)
				}
			})
		})
	}
}

// TestJudge: of several answers one that says yes counts.
func TestJudge(t *testing.T) {
	const yes, no, busy = `{}`, `{"error":"no volume has it","denied":true}`, `{"error":"Ceph is busy"}`
	for name, tc := range map[string]struct {
		answers []string
		want    error
		says    string
	}{
		"nobody":        {nil, volume.ErrUnavailable, "--mode=tenants does not answer: is it running?"},
		"yes":           {[]string{yes}, nil, ""},
		"no":            {[]string{no}, volume.ErrDenied, "no volume has it"},
		"not now":       {[]string{busy}, volume.ErrUnavailable, "Ceph is busy"},
		"no and yes":    {[]string{no, yes}, nil, ""},
		"garbage":       {[]string{"", "what?"}, volume.ErrUnavailable, "does not answer"},
		"garbage, busy": {[]string{"", busy}, volume.ErrUnavailable, "Ceph is busy"},
	} {
		t.Run(name, func(t *testing.T) {
			var all []rados.NotifyAck
			for _, text := range tc.answers {
				all = append(all, rados.NotifyAck{Response: []byte(text)})
			}
			err := judge(all)
			if !errors.Is(err, tc.want) || (err != nil && !strings.Contains(err.Error(), tc.says)) {
				t.Errorf("got %v, want %v with %q", err, tc.want, tc.says)
			}
		})
	}
}

// FuzzReply: whatever comes, there is an answer, and what is no request is
// refused.
func FuzzReply(f *testing.F) {
	for _, text := range []string{"", "{}", `{"tenant":"acme","subvolume":"vol.x","directory":"d"}`, `{"remove":1}`, `{"ping":true}`, "[]", "\x00"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		served := false
		data := reply(t.Context(), text, func(context.Context, cephfs.WriterRequest) error { served = true; return nil })
		err := judge([]rados.NotifyAck{{Response: data}})
		var e envelope
		readable := json.Unmarshal(text, &e) == nil
		if served != (readable && !e.Ping) || (err == nil) != readable || (err != nil && !errors.Is(err, volume.ErrDenied)) {
			t.Errorf("%q: served %t, answer %s, %v", text, served, data, err)
		}
	})
}

// TestOutlast: what outlasts a context ends some time after it, or when it is
// cancelled itself.
func TestOutlast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		outlasting, cancel := outlast(ctx, time.Minute)
		defer cancel()
		end()
		ended := time.Now()
		<-outlasting.Done()
		if got := time.Since(ended); got != time.Minute {
			t.Errorf("it ended after %s", got)
		}
		early, cancel := outlast(t.Context(), time.Minute)
		cancel()
		if early.Err() == nil {
			t.Error("it goes on when it is cancelled")
		}
	})
}
