//go:build e2e

package e2e

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestMain refuses arguments that choose no case. hack/e2e has it do so before
// anything is brought up.
func TestMain(m *testing.M) {
	flag.Parse()
	if run := flag.Lookup("test.run").Value.String(); !chooses(run) {
		fmt.Fprintf(os.Stderr, "-test.run %s chooses no case. There are:", run)
		for _, c := range cases() {
			fmt.Fprintf(os.Stderr, " %s", c.argument())
		}
		fmt.Fprintln(os.Stderr)
		os.Exit(2)
	}
	os.Exit(m.Run())
}

// chooses says whether a value of -test.run has a case, or is none of cases.
// What is no pattern is left to the tests' own flags to refuse.
func chooses(run string) bool {
	_, rest, some := strings.Cut(strings.ReplaceAll(run, " ", "_"), "/")
	pattern, _, _ := strings.Cut(rest, "/")
	expression, err := regexp.Compile(pattern)
	if !some || err != nil {
		return true
	}
	for _, c := range cases() {
		if expression.MatchString(c.argument()) {
			return true
		}
	}
	return false
}

// argument is how -test.run knows a case.
func (c testCase) argument() string { return strings.ReplaceAll(c.name, " ", "_") }
