package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The output formats of -o.
const (
	outputTable = "table"
	outputJSON  = "json"
	outputYAML  = "yaml"
)

// table is what a command shows to people.
type table struct {
	header []string
	rows   [][]string
}

// print writes data as JSON or YAML for programs, or the table for people.
// Field names of data are the ones of its JSON; they are an interface.
func (a *app) print(data any, t table) error {
	switch a.output {
	case outputJSON:
		e := json.NewEncoder(a.stdout)
		e.SetIndent("", "  ")
		return e.Encode(data)
	case outputYAML:
		text, err := yaml.Marshal(data)
		if err != nil {
			return fmt.Errorf("encode the answer: %w", err)
		}
		_, err = a.stdout.Write(text)
		return err
	}
	return a.printTable(t)
}

func (a *app) printTable(t table) error {
	w := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
	if t.header != nil {
		fmt.Fprintln(w, strings.Join(t.header, "\t"))
	}
	for _, row := range t.rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// checkOutput refuses an unknown -o before anything is done.
func (a *app) checkOutput() error {
	switch a.output {
	case outputTable, outputJSON, outputYAML:
		return nil
	}
	return fmt.Errorf("output format %.32q is not one of table, json, yaml: %w", a.output, volume.ErrInvalid)
}

// bytesText writes a size for people: 1.4 GiB.
func bytesText(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, letters := float64(n)/unit, "KMGTPE"
	for value >= unit {
		value, letters = value/unit, letters[1:]
	}
	return fmt.Sprintf("%.1f %ciB", value, letters[0])
}

// timeText writes a time for people; nothing for none.
func timeText(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}
