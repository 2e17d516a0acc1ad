package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// baked is the paper's baseline: the model in an image layer, fetched and
// unpacked at a cold start.
type baked struct {
	layer   string        // the layer's file, tar+gzip
	size    int64         // bytes of it
	fetched time.Duration // fetch over loopback and unpack, as a container runtime does
	result  result
}

// runBaked builds the layer, which an image's author does once, and then
// measures what a node does with it at a cold start.
func (d *demo) runBaked(ctx context.Context) (*baked, error) {
	b := &baked{layer: filepath.Join(d.dir, "layer.tar.gz")}
	if err := d.step(ctx, "baseline: build the image layer (once, not counted)", func(context.Context) error { return b.build(d.model) }); err != nil {
		return nil, err
	}
	if err := dropPageCache(); err != nil {
		return nil, err
	}
	fresh := filepath.Join(d.dir, "unpacked")
	if err := d.step(ctx, "baseline: pull and unpack the layer", func(ctx context.Context) error { return b.pull(ctx, fresh) }); err != nil {
		return nil, err
	}
	b.fetched = d.table.rows[len(d.table.rows)-1].took
	return b, d.step(ctx, "baseline: run", func(ctx context.Context) (err error) {
		if b.result, err = d.runFunction(ctx, filepath.Join(fresh, "model.h5")); err != nil {
			return err
		}
		return b.result.sameAs(d.original)
	})
}

// build writes the layer: a tar of the model, gzip level 1 in blocks that both
// cores compress (members one after the other are one gzip stream).
func (b *baked) build(model string) error {
	out, err := os.Create(b.layer)
	if err != nil {
		return err
	}
	defer out.Close()
	pipe, tarred := io.Pipe()
	go func() { tarred.CloseWithError(writeTar(tarred, model)) }()
	if err := compress(out, pipe); err != nil {
		pipe.CloseWithError(err)
		return fmt.Errorf("compress the layer: %w", err)
	}
	info, err := out.Stat()
	if err != nil {
		return err
	}
	b.size = info.Size()
	return out.Close()
}

func writeTar(w io.Writer, model string) error {
	in, err := os.Open(model)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	if err := t.WriteHeader(&tar.Header{Name: "model.h5", Mode: 0o644, Size: info.Size(), Format: tar.FormatPAX}); err != nil {
		return err
	}
	if _, err := io.Copy(t, in); err != nil {
		return err
	}
	return t.Close()
}

// gzipBlock is what one core compresses at a time.
const gzipBlock = 8 << 20

func compress(w io.Writer, r io.Reader) error {
	blocks := make(chan chan []byte, runtime.NumCPU())
	failed := make(chan error, 1)
	go func() {
		defer close(blocks)
		failed <- split(r, blocks)
	}()
	var writing error
	for b := range blocks {
		// Blocks go on being taken after an error, or the splitter would wait.
		if data := <-b; writing == nil {
			_, writing = w.Write(data)
		}
	}
	return errors.Join(<-failed, writing)
}

func split(r io.Reader, blocks chan<- chan []byte) error {
	for {
		raw := make([]byte, gzipBlock)
		n, err := io.ReadFull(r, raw)
		if n > 0 {
			done := make(chan []byte, 1)
			blocks <- done
			go func() { done <- member(raw[:n]) }()
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// member is one gzip member. Writing to memory cannot fail.
func member(raw []byte) []byte {
	var out sink
	z, _ := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	_, _ = z.Write(raw)
	_ = z.Close()
	return out.data
}

type sink struct{ data []byte }

func (s *sink) Write(p []byte) (int, error) {
	s.data = append(s.data, p...)
	return len(p), nil
}

// pull serves the layer over loopback, fetches it and unpacks it.
func (b *baked) pull(ctx context.Context, dir string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	layer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, b.layer) })
	server := &http.Server{Handler: layer, ReadHeaderTimeout: time.Minute}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	defer serving.Wait()
	defer server.Close()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listener.Addr().String()+"/layer", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("fetch the layer: %w", err)
	}
	defer answer.Body.Close()
	return unpack(answer.Body, dir)
}

// unpack writes the layer's one file, as a container runtime does.
func unpack(r io.Reader, dir string) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("unpack the layer: %w", err)
	}
	t := tar.NewReader(z)
	if _, err := t.Next(); err != nil {
		return fmt.Errorf("unpack the layer: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	out, err := os.Create(filepath.Join(dir, "model.h5"))
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(out, t); err != nil {
		return fmt.Errorf("unpack the layer: %w", err)
	}
	return out.Close()
}
