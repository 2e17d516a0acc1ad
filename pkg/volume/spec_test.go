package volume_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

const mib = 1 << 20

func TestSizeFit(t *testing.T) {
	tests := map[string]struct {
		size  volume.Size
		least int64
		want  int64 // 0: ErrOutOfRange
	}{
		"no wish":                            {want: volume.DefaultSize},
		"no wish, with a source":             {least: 5 * mib, want: 5 * mib},
		"required":                           {size: volume.Size{Required: 3 * mib}, want: 3 * mib},
		"one byte":                           {size: volume.Size{Required: 1}, want: mib},
		"rounded up":                         {size: volume.Size{Required: 3*mib + 1}, want: 4 * mib},
		"exact":                              {size: volume.Size{Required: 3 * mib, Limit: 3 * mib}, want: 3 * mib},
		"exact, but no whole MiB":            {size: volume.Size{Required: 3*mib + 1, Limit: 3*mib + 1}},
		"limit only":                         {size: volume.Size{Limit: 3 * mib}, want: 3 * mib},
		"limit only, no whole MiB":           {size: volume.Size{Limit: 3*mib + 5}, want: 3 * mib},
		"limit only, above the default":      {size: volume.Size{Limit: 1 << 40}, want: volume.DefaultSize},
		"limit under the smallest volume":    {size: volume.Size{Limit: mib - 1}},
		"less than the source":               {size: volume.Size{Required: mib}, least: 5 * mib, want: 5 * mib},
		"more than the source":               {size: volume.Size{Required: 9 * mib}, least: 5 * mib, want: 9 * mib},
		"limit is the source's size":         {size: volume.Size{Limit: 5 * mib}, least: 5 * mib, want: 5 * mib},
		"limit below the source":             {size: volume.Size{Limit: 5*mib - 1}, least: 5 * mib},
		"limit below the source's whole MiB": {size: volume.Size{Limit: 5*mib + 2}, least: 5*mib + 1},
		"required over the limit":            {size: volume.Size{Required: 2 * mib, Limit: mib}},
		"negative":                           {size: volume.Size{Required: -1}},
		"negative limit":                     {size: volume.Size{Limit: -1}},
		"largest":                            {size: volume.Size{Required: volume.MaxSize}, want: volume.MaxSize},
		"over the largest":                   {size: volume.Size{Required: volume.MaxSize + 1}},
		"all there is":                       {size: volume.Size{Required: math.MaxInt64}},
		"limited by all there is":            {size: volume.Size{Required: mib, Limit: math.MaxInt64}, want: mib},
		"least there is":                     {size: volume.Size{Required: math.MinInt64}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tc.size.Fit(tc.least)
			if got != tc.want {
				t.Errorf("Fit(%d) = %d, %v; want %d", tc.least, got, err, tc.want)
			}
			if tc.want == 0 && !errors.Is(err, volume.ErrOutOfRange) {
				t.Errorf("error %v, want ErrOutOfRange", err)
			}
		})
	}
}

func FuzzSizeFit(f *testing.F) {
	f.Add(int64(0), int64(0), int64(0))
	f.Add(int64(3*mib+1), int64(4*mib), int64(5))
	f.Add(int64(math.MaxInt64), int64(math.MaxInt64), int64(0))
	f.Fuzz(func(t *testing.T, required, limit, least int64) {
		if least < 0 || least > volume.MaxSize {
			t.Skip("no source has this size")
		}
		s := volume.Size{Required: required, Limit: limit}
		got, err := s.Fit(least)
		if err == nil && (!s.Allows(got) || got < least || got < volume.MinSize || got > volume.MaxSize || got%volume.MinSize != 0) {
			t.Errorf("%+v.Fit(%d) = %d", s, least, got)
		}
		if err != nil && !errors.Is(err, volume.ErrOutOfRange) {
			t.Errorf("%+v.Fit(%d): %v", s, least, err)
		}
	})
}

func TestSpecCheck(t *testing.T) {
	golden := volume.Source{Golden: volume.GoldenRef{Tenant: "acme", Name: "m", Version: "v1"}}
	made := volume.Volume{Capacity: 4 * mib, FsType: "ext4", Share: volume.ShareNode, Source: golden}
	asked := volume.Spec{Size: volume.Size{Required: 3 * mib}, Share: volume.ShareNode, Source: golden}
	tests := map[string]struct {
		change func(*volume.Spec)
		names  string // what the message is about; empty: no conflict
	}{
		"the same":                {change: func(*volume.Spec) {}},
		"its file system by name": {change: func(s *volume.Spec) { s.FsType = "ext4" }},
		"its size by name":        {change: func(s *volume.Spec) { s.Size = volume.Size{Required: 4 * mib, Limit: 4 * mib} }},
		"larger":                  {change: func(s *volume.Spec) { s.Size.Required = 5 * mib }, names: "range"},
		"limited below":           {change: func(s *volume.Spec) { s.Size.Limit = 3 * mib }, names: "range"},
		"another file system":     {change: func(s *volume.Spec) { s.FsType = "xfs" }, names: "file system"},
		"read-only":               {change: func(s *volume.Spec) { s.ReadOnly = true }, names: "read-only"},
		"block":                   {change: func(s *volume.Spec) { s.Block = true }, names: "block"},
		"another prefetch":        {change: func(s *volume.Spec) { s.Prefetch = volume.PrefetchAll }, names: "prefetch"},
		"another share":           {change: func(s *volume.Spec) { s.Share = volume.ShareClone }, names: "share"},
		"blank":                   {change: func(s *volume.Spec) { s.Source = volume.Source{} }, names: "source"},
		"another golden":          {change: func(s *volume.Spec) { s.Source.Golden.Version = "v2" }, names: "source"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			spec := asked
			tc.change(&spec)
			err := spec.Check(made)
			if tc.names == "" {
				if err != nil {
					t.Errorf("error %v, want none", err)
				}
				return
			}
			if !errors.Is(err, volume.ErrConflict) || !strings.Contains(err.Error(), tc.names) {
				t.Errorf("error %v, want ErrConflict about %s", err, tc.names)
			}
		})
	}
}

func TestAccessModes(t *testing.T) {
	tests := map[volume.AccessMode]struct{ readOnly, alone bool }{
		volume.SingleNodeWriter:       {alone: true},
		volume.SingleNodeSingleWriter: {alone: true},
		volume.SingleNodeMultiWriter:  {},
		volume.SingleNodeReaderOnly:   {readOnly: true, alone: true},
		volume.MultiNodeReaderOnly:    {readOnly: true},
		volume.MultiNodeMultiWriter:   {},
	}
	for mode, want := range tests {
		if mode.ReadOnly() != want.readOnly || mode.Alone() != want.alone {
			t.Errorf("%s: read-only %t, alone %t", mode, mode.ReadOnly(), mode.Alone())
		}
	}
}

// A key is hidden however it is printed.
func TestSecretIsHidden(t *testing.T) {
	c := volume.Credentials{User: "acme", Key: "c2VjcmV0"}
	stage := volume.Stage{Credentials: c}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
		for _, value := range []any{c.Key, c, &c, stage, []volume.Secret{c.Key}, map[string]any{"k": c}} {
			text := fmt.Sprintf(verb, value)
			for _, leak := range []string{"c2VjcmV0", "6332566a636d5630", "6332566A636D5630"} {
				if strings.Contains(text, leak) {
					t.Errorf("%s of %T shows the key: %s", verb, value, text)
				}
			}
		}
	}
	if text, err := c.Key.MarshalText(); err != nil || strings.Contains(string(text), "c2V") {
		t.Errorf("MarshalText gives %s, %v", text, err)
	}
	if c.Key.Reveal() != "c2VjcmV0" {
		t.Error("Reveal does not")
	}
}
