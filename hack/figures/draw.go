package main

import (
	"errors"
	"fmt"
	"image/color"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const (
	width  = 18 * vg.Centimeter
	height = 10 * vg.Centimeter
)

// palette is of four colours that differ in brightness, too, for eyes and
// printers that do without.
func palette() []color.Color {
	return []color.Color{
		color.RGBA{R: 0xb0, G: 0x3a, B: 0x2e, A: 0xff},
		color.RGBA{R: 0xe0, G: 0x9f, B: 0x3e, A: 0xff},
		color.RGBA{R: 0x1f, G: 0x5f, B: 0x8b, A: 0xff},
		color.RGBA{R: 0x6a, G: 0xa8, B: 0x84, A: 0xff},
	}
}

// drawAll draws what was measured: the latency of each call as the paper's
// figure 5 has it, and what cold requests consist of as its figure 6 has it.
func drawAll(r results, dir string) error {
	for _, name := range []string{"kept", "cold"} {
		t, ok := r.named(name)
		if !ok {
			continue
		}
		err := errors.Join(drawLatency(t, filepath.Join(dir, "coldstart-latency-"+name)), drawRequest(t, filepath.Join(dir, "coldstart-request-"+name)))
		if err != nil {
			return err
		}
	}
	return nil
}

// save writes a plot as a picture and as a drawing.
func save(p *plot.Plot, file string) error {
	for _, kind := range []string{".png", ".svg"} {
		if err := p.Save(width, height, file+kind); err != nil {
			return fmt.Errorf("draw %s%s: %w", file, kind, err)
		}
	}
	return nil
}

// drawLatency draws the latency of each call, way by way.
func drawLatency(t table, file string) error {
	p := plot.New()
	p.Title.Text = "Latency before the function runs (" + circumstances(t) + ")"
	p.X.Label.Text = "call; the first of each round is cold"
	p.Y.Label.Text = "seconds"
	p.Y.Min = 0
	p.X.Tick.Marker = plot.TickerFunc(func(low, high float64) (ticks []plot.Tick) {
		for i := int(low) + 1; i <= int(high); i++ {
			ticks = append(ticks, plot.Tick{Value: float64(i), Label: fmt.Sprint(i)})
		}
		return ticks
	})
	p.Legend.Top = true
	p.X.Padding, p.X.Min, p.X.Max = 0, 0.5, float64(len(t.its(t.Means[0].Way)))+0.5
	p.Add(plotter.NewGrid())
	for i, way := range names() {
		var points plotter.XYs
		for n, c := range t.its(way) {
			points = append(points, plotter.XY{X: float64(n + 1), Y: c.Latency})
		}
		if len(points) == 0 {
			continue
		}
		line, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return fmt.Errorf("draw %s: %w", way, err)
		}
		line.Color, dots.Color = palette()[i], palette()[i]
		line.Width, dots.Radius, dots.Shape = vg.Points(1.5), vg.Points(3), shapes()[i]
		p.Add(line, dots)
		p.Legend.Add(title(way), line, dots)
	}
	p.Y.Max *= 1.3 // room for the legend
	return save(p, file)
}

func shapes() []draw.GlyphDrawer {
	return []draw.GlyphDrawer{draw.BoxGlyph{}, draw.PyramidGlyph{}, draw.CircleGlyph{}, draw.RingGlyph{}}
}

// drawRequest draws of what cold requests consist.
func drawRequest(t table, file string) error {
	p := plot.New()
	p.Title.Text = "A cold request, on average (" + circumstances(t) + ")"
	p.Y.Label.Text = "seconds"
	p.Legend.Top = true
	var shown []string
	parts := [3]plotter.Values{}
	for _, way := range names() {
		m, ok := t.of(way)
		if !ok {
			continue
		}
		shown = append(shown, title(way))
		rest := m.Cold.Request - m.Cold.Latency - m.Cold.Waited
		for i, v := range []float64{m.Cold.Latency, m.Cold.Waited, rest} {
			parts[i] = append(parts[i], v)
		}
	}
	var below *plotter.BarChart
	for i, label := range []string{"before the function runs", "waiting for the model", "rest of the function"} {
		bars, err := plotter.NewBarChart(parts[i], vg.Points(50))
		if err != nil {
			return fmt.Errorf("draw %s: %w", label, err)
		}
		bars.Color, bars.LineStyle.Width = palette()[i], 0
		if below != nil {
			bars.StackOn(below)
		}
		p.Add(bars)
		p.Legend.Add(label, bars)
		below = bars
	}
	p.NominalX(shown...)
	p.X.Min, p.X.Max = -0.5, float64(len(shown))-0.5
	p.Y.Max *= 1.3 // room for the legend
	return save(p, file)
}

// circumstances say what was measured how.
func circumstances(t table) string {
	rate, images := speed(t.Rate), "no image on the node"
	if t.Kept {
		images = "image without the model on the node"
	}
	return t.Platform + ", " + rate + ", " + images
}

// speed is a rate of tc as people write it.
func speed(rate string) string {
	if n, ok := strings.CutSuffix(rate, "gbit"); ok {
		return n + " Gbit/s"
	}
	if rate == "none" {
		return "no limit"
	}
	return rate
}
