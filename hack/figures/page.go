package main

import (
	"fmt"
	"slices"
	"strings"
)

// writer collects a page.
type writer struct{ strings.Builder }

func (w *writer) line(format string, args ...any) {
	fmt.Fprintf(w, format+"\n", args...)
}

// page is what a report says, as Markdown.
func page(r results) string {
	var w writer
	s := r.Details.Settings
	w.line("%d rounds of %d calls, a model of %d MB, a wire of %s. %s.", s.Rounds, s.Calls, mega(s.Model.Bytes), speed(s.Rate), r.Details.Machine)
	w.figures(r)
	for _, t := range r.Details.Tables {
		w.table(t)
		if t.Name == "kept" || t.Name == "cold" {
			w.calls(t)
			w.line("\n![Latency of each call](plots/coldstart-latency-%[1]s.svg)\n![What a cold request consists of](plots/coldstart-request-%[1]s.svg)", t.Name)
		}
	}
	w.warm(r.Details.Warm)
	w.scaling(r.Details.Scaling, s)
	w.bytes(r)
	return w.String()
}

func mega(bytes int64) int64 { return (bytes + 500_000) / 1_000_000 }

func (w *writer) figures(r results) {
	w.line("\n| figure | measured | must reach | |\n|---|---|---|---|")
	for _, f := range r.Figures {
		w.line("| %s | %.3g × | ≤ %.3g × | %s |", f.Name, f.Value, f.Bound, map[bool]string{true: "holds", false: "**missed**"}[f.Holds])
	}
	w.line("")
	for _, n := range r.Notes {
		w.line("- %s", n)
	}
}

// table is the paper's Table 2: a way's means, and how much less than baked.
func (w *writer) table(t table) {
	w.line("\n### %s: %s", t.Name, circumstances(t))
	w.line("\n| way | calls | request | function | latency | model load | request against baked | latency against baked |\n|---|---|---|---|---|---|---|---|")
	b, _ := t.of("baked")
	for _, way := range names() {
		m, ok := t.of(way)
		if !ok {
			continue
		}
		w.means(way, "cold", m.Cold, b.Cold)
		w.means(way, "all", m.All, b.All)
	}
}

func (w *writer) means(way, which string, r, baked row) {
	w.line("| %s | %s (%d) | %.2f s | %.2f s | %.3f s | %s | %s | %s |", title(way), which, r.Calls, r.Request, r.Execution, r.Latency,
		map[bool]string{true: fmt.Sprintf("%.2f s", r.Load), false: ""}[which == "cold"], less(r.Request, baked.Request), less(r.Latency, baked.Latency))
}

// less is the reduction in per cent.
func less(now, before float64) string {
	if before == 0 || now == before {
		return ""
	}
	return fmt.Sprintf("%+.0f %%", (now/before-1)*100)
}

func (w *writer) calls(t table) {
	w.line("\nEach call of the part «%s»: request (of it before the function), in seconds:\n", t.Name)
	w.line("| call | %s |\n|---|%s", strings.Join(titles(), " | "), strings.Repeat("---|", len(names())))
	for i := range t.its(t.Means[0].Way) {
		cells := make([]string, len(names()))
		for j, way := range names() {
			if its := t.its(way); i < len(its) {
				cells[j] = fmt.Sprintf("%.2f (%.3f)", its[i].Request, its[i].Latency)
			}
		}
		w.line("| %d | %s |", i+1, strings.Join(cells, " | "))
	}
}

func titles() (all []string) {
	for _, way := range names() {
		all = append(all, title(way))
	}
	return all
}

func (w *writer) warm(calls []call) {
	if len(calls) == 0 {
		return
	}
	w.line("\n### warm node, cold function\n\n| what the node has of the model | request, p50 (all) | latency, p50 | model load, p50 | network |\n|---|---|---|---|---|")
	var seen []string
	for _, c := range calls {
		if slices.Contains(seen, c.Way) {
			continue
		}
		seen = append(seen, c.Way)
		its := slices.DeleteFunc(slices.Clone(calls), func(o call) bool { return o.Way != c.Way })
		var all []string
		for _, i := range its {
			all = append(all, fmt.Sprintf("%.2f", i.Request))
		}
		w.line("| %s | %.2f s (%s) | %.3f s | %.2f s | %d MB |", c.Way, middle(its, func(c call) float64 { return c.Request }), strings.Join(all, ", "),
			middle(its, func(c call) float64 { return c.Latency }), middle(its, func(c call) float64 { return c.Load }), mega(its[0].Bytes))
	}
}

func middle(calls []call, of func(call) float64) float64 {
	var all []float64
	for _, c := range calls {
		all = append(all, of(c))
	}
	return slices.Sorted(slices.Values(all))[len(all)/2]
}

func (w *writer) scaling(crowds []crowd, s settings) {
	if len(crowds) == 0 {
		return
	}
	w.line("\n### functions of one model of %d MB at once: until all have answered, and bytes over the network\n", mega(s.Small.Bytes))
	w.line("| functions | %s |\n|---|%s", strings.Join(titles(), " | "), strings.Repeat("---|", len(names())))
	for _, n := range []int{1, 5, 20} {
		cells := make([]string, len(names()))
		for i, way := range names() {
			for _, c := range crowds {
				if c.Way == way && c.Functions == n {
					cells[i] = fmt.Sprintf("%.1f s, %d MB", c.Seconds, mega(c.Bytes))
				}
			}
		}
		w.line("| %d | %s |", n, strings.Join(cells, " | "))
	}
}

// bytes is what each way moves and keeps.
func (w *writer) bytes(r results) {
	w.line("\n### bytes of each way\n\n| way | one model where it is kept | over the network, a round of «kept» | more on the node's disk while one function runs |\n|---|---|---|---|")
	t, _ := r.named("kept")
	for _, way := range names() {
		m, _ := t.of(way)
		for _, s := range r.Details.Stored {
			if s.Way == way {
				w.line("| %s | %d MB (%s) | %d MB | %d MB |", title(way), mega(s.Bytes), s.Where, mega(m.Bytes), mega(t.Disk[way]))
			}
		}
	}
	s := r.Details.Settings.Model
	w.line("\nImage: %d MB compressed and %d MB unpacked with the model apart, %d and %d MB with the model.", mega(s.Apart.Compressed), mega(s.Apart.Unpacked),
		mega(s.Baked.Compressed), mega(s.Baked.Unpacked))
}
