package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"
	"time"
)

// report prints the one table: every step, what Ceph stores, and the functions
// beside the baked image.
func (d *demo) report(ctx context.Context, b *baked) error {
	stored, err := d.settle(ctx)
	if err != nil {
		return err
	}
	d.table.print()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\n\tDATA THERE\tMODEL OPEN\tWEIGHTS LOADED\tANSWER\n")
	for _, f := range d.functions {
		fmt.Fprintln(w, timesOf("sdp-csi, "+f.name, f.ready, f.result))
	}
	fmt.Fprintln(w, timesOf("baked into the image", b.fetched, b.result))
	w.Flush()
	first := d.functions[0]
	fmt.Printf("\nA function's data is there in %s instead of %s (%.1f %%), its answer in %s instead of %s.\n",
		seconds(first.ready), seconds(b.fetched), 100*first.ready.Seconds()/b.fetched.Seconds(),
		seconds(first.until(first.result.Answered)), seconds(b.fetched+fraction(b.result.Answered)))
	fmt.Printf("Ceph stores %s for one golden of %s and three functions; three images would hold %s, gzipped.\n",
		bytes(stored), bytes(d.size), bytes(3*b.size))
	return nil
}

// timesOf is a row: seconds since the cold start began.
func timesOf(name string, ready time.Duration, r result) string {
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s", name, seconds(ready), seconds(ready+fraction(r.Opened)),
		seconds(ready+fraction(r.Loaded)), seconds(ready+fraction(r.Answered)))
}

func (f *function) until(s float64) time.Duration { return f.ready + fraction(s) }

func fraction(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

// stored returns the bytes that the objects of images and of files hold.
func (d *demo) stored(ctx context.Context) (int64, error) {
	out, err := d.cephCommand(ctx, "df", "--format", "json")
	if err != nil {
		return 0, fmt.Errorf("ask what Ceph stores: %w", err)
	}
	var df struct {
		Pools []struct {
			Name  string
			Stats struct {
				Stored int64 `json:"stored"`
			}
		}
	}
	if err := json.Unmarshal(out, &df); err != nil {
		return 0, fmt.Errorf("read what Ceph stores: %w", err)
	}
	sum := int64(0)
	for _, p := range df.Pools {
		if p.Name == pool || p.Name == dataPool {
			sum += p.Stats.Stored
		}
	}
	return sum, nil
}
