package checkup

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Level says how a check ended.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Warning Level = "warning" // works, or may not be wanted
	Failed  Level = "failed"
	Skipped Level = "skipped" // could not be looked at
)

// Finding is what one check found.
type Finding struct {
	Area  string `json:"area"` // ceph, node, kubernetes
	Check string `json:"check"`
	Level Level  `json:"level"`
	Says  string `json:"says"`
	Fix   string `json:"fix,omitempty"` // what to do, where something is wrong
}

// Findings are what a row of checks found.
type Findings struct {
	Area string
	All  []Finding
}

// Good notes that a check found nothing wrong.
func (f *Findings) Good(check, format string, args ...any) { f.add(OK, check, "", format, args...) }

// Bad notes a fault and what to do.
func (f *Findings) Bad(check, fix, format string, args ...any) {
	f.add(Failed, check, fix, format, args...)
}

// Doubt notes what works and may not be wanted.
func (f *Findings) Doubt(check, fix, format string, args ...any) {
	f.add(Warning, check, fix, format, args...)
}

// Unanswered notes a question that got an error: skipped where this user may
// not ask it, failed otherwise.
func (f *Findings) Unanswered(check, fix string, err error) {
	if errors.Is(err, volume.ErrDenied) {
		f.add(Skipped, check, "use a user that may look at it", "%s", err.Error())
		return
	}
	f.Bad(check, fix, "%s", err.Error())
}

func (f *Findings) add(l Level, check, fix, format string, args ...any) {
	// What programs print has line ends.
	says := strings.Join(strings.FieldsFunc(fmt.Sprintf(format, args...), func(r rune) bool { return r == '\n' }), "; ")
	f.All = append(f.All, Finding{Area: f.Area, Check: check, Level: l, Says: says, Fix: fix})
}
