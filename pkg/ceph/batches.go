package ceph

import "sync"

// batches lets one operation serve all who want to change the same object at
// the same time: while one batch is on its way, the next one gathers. Who
// comes alone is served at once. It is no lock: other processes are kept out by
// the operation's own condition. The zero value with serve is ready.
type batches[T any] struct {
	// serve makes one batch's changes, in order, and returns each one's error.
	serve func(key string, wishes []T) []error

	mu sync.Mutex
	of map[string]*batch[T] // by object; none where nothing is on its way
}

// batch is what waits for the operation that is on its way.
type batch[T any] struct {
	wishes []T
	done   []chan error
}

// largestBatch bounds one operation.
const largestBatch = 128

// do makes one change, with others of the same key or alone. It returns when
// the change has been made or has failed: no later than two operations take.
func (b *batches[T]) do(key string, wish T) error {
	done := make(chan error, 1)
	if b.join(key, wish, done) {
		go b.lead(key)
	}
	return <-done
}

// join adds a wish to the next batch and says whether somebody has to lead it.
func (b *batches[T]) join(key string, wish T, done chan error) (lead bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	next, busy := b.of[key]
	if !busy {
		if b.of == nil {
			b.of = map[string]*batch[T]{}
		}
		next = &batch[T]{}
		b.of[key] = next
	}
	next.wishes, next.done = append(next.wishes, wish), append(next.done, done)
	return !busy
}

// lead serves batch after batch until nobody waits.
func (b *batches[T]) lead(key string) {
	for {
		wishes, done := b.take(key)
		if len(wishes) == 0 {
			return
		}
		for i, err := range b.serve(key, wishes) {
			done[i] <- err
		}
	}
}

// take returns what the next operation serves; without any, nobody leads now.
func (b *batches[T]) take(key string) ([]T, []chan error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := b.of[key]
	n := min(len(next.wishes), largestBatch)
	wishes, done := next.wishes[:n:n], next.done[:n:n]
	next.wishes, next.done = next.wishes[n:], next.done[n:]
	if n == 0 {
		delete(b.of, key)
	}
	return wishes, done
}

// all is the answer of an operation that served all of n wishes or none.
func all(n int, err error) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}
