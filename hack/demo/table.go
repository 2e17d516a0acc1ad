package main

import (
	"fmt"
	"os"
	"text/tabwriter"
	"time"
)

// table collects what took how long.
type table struct {
	rows []row
}

type row struct {
	name string
	took time.Duration
}

func (t *table) add(name string, took time.Duration) { t.rows = append(t.rows, row{name, took}) }

func (t *table) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nSTEP\tTIME")
	for _, r := range t.rows {
		fmt.Fprintf(w, "%s\t%s\n", r.name, seconds(r.took))
	}
	w.Flush()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f s", d.Seconds()) }

// bytes prints a size in the unit that models are given in.
func bytes(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%d B", n)
}
