package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"
)

// Better says which side of its bound a figure should be on.
type Better string

// The sides.
const (
	Lower  Better = "lower"
	Higher Better = "higher"
)

// Figure is one measured number.
type Figure struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Bound  float64 `json:"bound"`
	Better Better  `json:"better"`
	Holds  bool    `json:"holds"`
}

// Report is what one benchmark says.
type Report struct {
	Name    string   `json:"-"`
	Figures []Figure `json:"figures"`
	// Notes are what a reader should know beside the figures.
	Notes []string `json:"notes,omitempty"`
	// Details are what the figures come from, where a benchmark has that.
	Details any `json:"details,omitempty"`
}

// Add adds a figure with its bound.
func (r *Report) Add(name string, value float64, unit string, better Better, bound float64) {
	holds := value <= bound
	if better == Higher {
		holds = value >= bound
	}
	r.Figures = append(r.Figures, Figure{Name: name, Value: value, Unit: unit, Bound: bound, Better: better, Holds: holds})
}

// Note adds a remark.
func (r *Report) Note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// Write prints the table and writes dir/<name>.json.
func (r *Report) Write(dir string) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FIGURE\tVALUE\tMUST REACH\tHOLDS")
	for _, f := range r.Figures {
		sign := "<="
		if f.Better == Higher {
			sign = ">="
		}
		fmt.Fprintf(w, "%s\t%.3g %s\t%s %.3g %s\t%t\n", f.Name, f.Value, f.Unit, sign, f.Bound, f.Unit, f.Holds)
	}
	for _, n := range r.Notes {
		fmt.Fprintln(w, n)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, r.Name+".json"), append(data, '\n'), 0o644)
}

// Median returns the middle of some durations, in milliseconds.
func Median(all []time.Duration) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return float64(sorted[len(sorted)/2].Microseconds()) / 1000
}
