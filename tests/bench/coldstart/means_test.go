//go:build bench

package coldstart

import (
	"slices"
	"testing"
)

// mean is a row of the paper's Table 2: a way's calls, on average, in seconds.
type mean struct {
	Way  string `json:"way"`
	Cold row    `json:"cold"` // the first calls of the rounds
	All  row    `json:"all"`
	// Bytes is what one round brings to the node.
	Bytes int64 `json:"networkBytesPerRound"`
}

type row struct {
	Calls     int     `json:"calls"`
	Request   float64 `json:"requestSeconds"`
	Latency   float64 `json:"latencySeconds"`
	Execution float64 `json:"executionSeconds"`
	Load      float64 `json:"loadSeconds"`
	Waited    float64 `json:"waitedSeconds"`
}

func means(calls []call) (all []mean) {
	var ways []string
	for _, c := range calls {
		if !slices.Contains(ways, c.Way) {
			ways = append(ways, c.Way)
		}
	}
	for _, way := range ways {
		its := slices.DeleteFunc(slices.Clone(calls), func(c call) bool { return c.Way != way })
		first := slices.DeleteFunc(slices.Clone(its), func(c call) bool { return c.Number != 1 })
		m := mean{Way: way, Cold: average(first), All: average(its)}
		for _, c := range its {
			m.Bytes += c.Bytes / int64(len(first))
		}
		all = append(all, m)
	}
	return all
}

func average(calls []call) row {
	r := row{Calls: len(calls)}
	n := float64(len(calls))
	for _, c := range calls {
		r.Request += c.Request / n
		r.Latency += c.Latency / n
		r.Execution += c.Execution / n
		r.Load += c.Load / n
		r.Waited += c.Waited / n
	}
	return r
}

// of returns a way's row, and whether the table has it.
func (t table) of(way string) (mean, bool) {
	i := slices.IndexFunc(t.Means, func(m mean) bool { return m.Way == way })
	if i < 0 {
		return mean{}, false
	}
	return t.Means[i], true
}

// tell prints the table: a run is long, and should say meanwhile how it goes.
func (t table) tell(log testing.TB) {
	log.Logf("%s (%s, %s): request / latency / execution / model load of cold calls; request of all; network of a round", t.Name, t.Platform, t.Rate)
	for _, m := range t.Means {
		log.Logf("%-9s %6.2f / %6.3f / %6.2f / %5.2f s; %6.2f s; %5d MB", m.Way, m.Cold.Request, m.Cold.Latency, m.Cold.Execution, m.Cold.Load, m.All.Request, m.Bytes/1e6)
	}
}
