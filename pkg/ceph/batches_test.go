package ceph

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// served records what operations were made, each of which takes a second.
type served struct {
	mu  sync.Mutex
	ops [][]int
}

var errOdd = errors.New("odd")

func (s *served) serve(_ string, wishes []int) []error {
	s.mu.Lock()
	s.ops = append(s.ops, slices.Sorted(slices.Values(wishes)))
	s.mu.Unlock()
	time.Sleep(time.Second)
	errs := make([]error, len(wishes))
	for i, w := range wishes {
		if w%2 == 1 {
			errs[i] = fmt.Errorf("wish %d: %w", w, errOdd)
		}
	}
	return errs
}

// The first is served alone and at once, those that come meanwhile by one
// operation, each with an answer of its own.
func TestBatchesGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &served{}
		b := &batches[int]{serve: s.serve}
		var group sync.WaitGroup
		for i := range 60 {
			group.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				if err := b.do("key", i); errors.Is(err, errOdd) != (i%2 == 1) {
					t.Errorf("wish %d: %v", i, err)
				}
			})
		}
		start := time.Now()
		group.Wait()
		if took := time.Since(start); took != 2*time.Second || len(s.ops) != 2 || len(s.ops[0]) != 1 || len(s.ops[1]) != 59 {
			t.Errorf("%v, operations %v", took, s.ops)
		}
		err := b.do("key", 2)
		synctest.Wait()
		b.mu.Lock()
		defer b.mu.Unlock()
		if err != nil || len(s.ops) != 3 || len(b.of) != 0 {
			t.Errorf("afterwards: %v, %d operations, %d keys left", err, len(s.ops), len(b.of))
		}
	})
}

// Different objects never wait for each other, and a batch is bounded.
func TestBatchesApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &served{}
		b := &batches[int]{serve: s.serve}
		var group sync.WaitGroup
		start := time.Now()
		for key := range 8 {
			group.Go(func() { _ = b.do(fmt.Sprint(key), 0) })
		}
		group.Wait()
		if took := time.Since(start); took != time.Second {
			t.Errorf("eight objects took %v, one operation takes a second", took)
		}
		s.ops = nil
		for i := range 1 + 2*largestBatch {
			group.Go(func() {
				if i > 0 {
					time.Sleep(time.Millisecond)
				}
				_ = b.do("key", 2*i)
			})
		}
		group.Wait()
		if len(s.ops) != 3 || len(s.ops[1]) != largestBatch || len(s.ops[2]) != largestBatch {
			t.Errorf("%d operations", len(s.ops))
		}
	})
}
