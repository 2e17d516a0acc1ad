package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/sdp-csi/sdp-csi/pkg/golden"
)

// every is the time between two lines where there is no terminal.
const every = 3 * time.Second

// progress shows how far an import is: a bar for each step on a terminal,
// plain lines elsewhere.
type progress struct {
	out      io.Writer
	what     string
	terminal bool
	now      func() time.Time

	step golden.Step
	bar  *progressbar.ProgressBar
	said time.Time // when the last line was written
}

func newProgress(out io.Writer, what string) *progress {
	f, ok := out.(*os.File)
	return &progress{out: out, what: what, terminal: ok && term.IsTerminal(int(f.Fd())), now: time.Now}
}

// report is a golden.Progress.
func (p *progress) report(step golden.Step, done, total int64) {
	began := step != p.step
	p.step = step
	if p.terminal {
		p.draw(began, done, total)
		return
	}
	if began || total > 0 && done == total || p.now().Sub(p.said) >= every {
		p.say(done, total)
	}
}

func (p *progress) draw(began bool, done, total int64) {
	if began {
		p.end()
		if total == 0 {
			total = -1 // the bar's way to say «not known»
		}
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(p.out),
			progressbar.OptionSetDescription(fmt.Sprintf("%s: %-6s", p.what, p.step)),
			progressbar.OptionShowBytes(true),
			progressbar.OptionUseIECUnits(true),
			progressbar.OptionSetWidth(30),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetRenderBlankState(true))
	}
	// A bar that cannot be drawn is no reason to stop an import.
	_ = p.bar.Set64(done)
}

// end leaves the line of the last bar.
func (p *progress) end() {
	if p.bar != nil {
		fmt.Fprintln(p.out)
		p.bar = nil
	}
}

func (p *progress) say(done, total int64) {
	p.said = p.now()
	if total == 0 {
		fmt.Fprintf(p.out, "%s: %s %s\n", p.what, p.step, bytesText(done))
		return
	}
	fmt.Fprintf(p.out, "%s: %s %s of %s (%d %%)\n", p.what, p.step, bytesText(done), bytesText(total), done*100/total)
}
