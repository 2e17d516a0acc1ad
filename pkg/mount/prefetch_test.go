package mount

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
)

func TestPrefetch(t *testing.T) {
	model := bytes.Repeat([]byte("0123456789abcdef"), 640<<10) // 10 MiB
	for name, c := range map[string]struct {
		whole bool
		least int64
		most  int64
	}{
		"whole":    {true, 10<<20 + 5, 10<<20 + 5},
		"metadata": {false, prefetchHead + 5, prefetchHead + 5},
	} {
		t.Run(name, func(t *testing.T) {
			h, dir := NewHost(), scratch(t)
			g := golden(t, map[string][]byte{"model.h5": model, "words": []byte("words")})
			must(t, h.Mount(t.Context(), g.path, dir+"/lower", erofs, true, nil))
			var read atomic.Int64
			must(t, h.Prefetch(t.Context(), dir+"/lower", c.whole, func(n int64) { read.Add(n) }))
			if got := read.Load(); got < c.least || got > c.most {
				t.Fatalf("read %d bytes, want %d to %d", got, c.least, c.most)
			}
			held, err := h.Cached(t.Context(), dir+"/lower")
			must(t, err)
			if c.whole && held < int64(len(model)) {
				t.Errorf("%d bytes are cached, want at least %d", held, len(model))
			}
		})
	}
}

func TestPrefetchEnds(t *testing.T) {
	h, dir := NewHost(), scratch(t)
	g := golden(t, map[string][]byte{"model.h5": make([]byte, 64<<20)})
	must(t, h.Mount(t.Context(), g.path, dir+"/lower", erofs, true, nil))
	ctx, cancel := context.WithCancel(t.Context())
	var read atomic.Int64
	err := h.Prefetch(ctx, dir+"/lower", true, func(n int64) {
		read.Add(n)
		cancel()
	})
	if !errors.Is(err, context.Canceled) || read.Load() >= 64<<20 {
		t.Fatalf("read %d bytes after the end, %v", read.Load(), err)
	}
	must(t, h.Unmount(t.Context(), dir+"/lower"))
}
