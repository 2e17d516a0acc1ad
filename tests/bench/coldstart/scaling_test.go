//go:build bench

package coldstart

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

// crowd is what several functions took that started at once.
type crowd struct {
	Way       string  `json:"way"`
	Functions int     `json:"functions"`
	Seconds   float64 `json:"seconds"` // until all had answered
	Bytes     int64   `json:"networkBytes"`
}

// scaling: 1, 5 and 20 functions of one model at once, on a node that has the
// image without a model. Each has a claim of its own where it has one. The
// model is a smaller one, as each function has it in memory of its own.
func (s *stand) scaling(t *testing.T) {
	p := newPods(s)
	then := s.pulled(t, s.settings.Small)
	for _, w := range s.ways(s.settings.Small) {
		for _, n := range []int{1, 5, 20} {
			t.Run(fmt.Sprint(w.name, " ", n), func(t *testing.T) {
				functions := make([]function, n)
				for i := range functions {
					functions[i] = function{way: w, name: fmt.Sprintf("many-%s-%d", w.name, i), model: s.settings.Small}
				}
				p.deploy(t, functions...)
				s.chill(t, p, true, then, functions...)
				c := s.crowd(t, p, functions)
				t.Logf("%-9s %2d functions %6.2f s %5d MB", c.Way, n, c.Seconds, c.Bytes/1e6)
				s.details.Scaling = append(s.details.Scaling, c)
			})
		}
	}
}

func (s *stand) crowd(t *testing.T, p platform, functions []function) crowd {
	t.Helper()
	failed := make([]error, len(functions))
	before, begin := s.received(t), time.Now()
	var all sync.WaitGroup
	for i, f := range functions {
		all.Go(func() {
			_, a, err := p.request(t, f)
			if err == nil {
				s.same(t, f, a)
			}
			failed[i] = err
		})
	}
	all.Wait()
	if err := errors.Join(failed...); err != nil {
		t.Fatal(err)
	}
	return crowd{Way: functions[0].way.name, Functions: len(functions), Seconds: time.Since(begin).Seconds(), Bytes: s.received(t) - before}
}
