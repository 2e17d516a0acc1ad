package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The marks in a page around what is written there.
const (
	begin = "<!-- cold starts: written by make bench-coldstart -->\n"
	end   = "<!-- end of cold starts -->\n"
)

// insert puts text between the marks of performance.md in a directory, or into
// a page of its own where there is none.
func insert(dir, text string) error {
	file := filepath.Join(dir, "performance.md")
	page, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return os.WriteFile(filepath.Join(dir, "coldstart.md"), []byte(text), 0o644)
	}
	if err != nil {
		return err
	}
	before, rest, marked := strings.Cut(string(page), begin)
	_, after, ended := strings.Cut(rest, end)
	if !marked || !ended {
		return fmt.Errorf("%s lacks the marks %q and %q", file, begin, end)
	}
	return os.WriteFile(file, []byte(before+begin+text+end+after), 0o644)
}
