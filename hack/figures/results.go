package main

import "slices"

// results is what tests/bench/coldstart writes; its names are explained there.
type results struct {
	Figures []struct {
		Name  string
		Value float64
		Unit  string
		Bound float64
		Holds bool
	}
	Notes   []string
	Details struct {
		Settings settings
		Machine  string
		Tables   []table
		Warm     []call
		Scaling  []crowd
		Stored   []stored
	}
}

type settings struct {
	Rounds, Calls int
	Rate          string
	Model, Small  struct {
		Bytes        int64
		Apart, Baked struct{ Compressed, Unpacked int64 }
	}
}

type table struct {
	Name, Platform, Rate string
	Kept                 bool `json:"runtimeImageKept"`
	Calls                []call
	Means                []mean
	Disk                 map[string]int64 `json:"nodeBytes"`
}

type call struct {
	Way           string
	Round, Number int
	row
	Bytes int64 `json:"networkBytes"`
}

type row struct {
	Calls     int     `json:"calls"`
	Request   float64 `json:"requestSeconds"`
	Latency   float64 `json:"latencySeconds"`
	Execution float64 `json:"executionSeconds"`
	Load      float64 `json:"loadSeconds"`
	Waited    float64 `json:"waitedSeconds"`
}

type mean struct {
	Way       string
	Cold, All row
	Bytes     int64 `json:"networkBytesPerRound"`
}

type crowd struct {
	Way       string
	Functions int
	Seconds   float64
	Bytes     int64 `json:"networkBytes"`
}

type stored struct {
	Way, Where string
	Bytes      int64
}

// names are the ways in the order in which pages show them.
func names() []string { return []string{"baked", "download", "rbd", "cephfs"} }

// title is how pages call a way.
func title(way string) string {
	titles := map[string]string{"baked": "baked", "download": "download", "rbd": "sdp RBD", "cephfs": "sdp CephFS"}
	if t, ok := titles[way]; ok {
		return t
	}
	return way
}

// named returns a part's table, where it was measured.
func (r results) named(name string) (table, bool) {
	i := slices.IndexFunc(r.Details.Tables, func(t table) bool { return t.Name == name })
	if i < 0 {
		return table{}, false
	}
	return r.Details.Tables[i], true
}

// of returns a way's means, where it was measured.
func (t table) of(way string) (mean, bool) {
	i := slices.IndexFunc(t.Means, func(m mean) bool { return m.Way == way })
	if i < 0 {
		return mean{}, false
	}
	return t.Means[i], true
}

// its returns a way's calls in their order.
func (t table) its(way string) []call {
	all := slices.DeleteFunc(slices.Clone(t.Calls), func(c call) bool { return c.Way != way })
	slices.SortStableFunc(all, func(a, b call) int { return (a.Round-b.Round)*1000 + a.Number - b.Number })
	return all
}
