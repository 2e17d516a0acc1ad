package volume

import (
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var (
	ErrOne = errors.New("one")
	errTwo = fmt.Errorf("two: %w", ErrOne)
)

var pattern = regexp.MustCompile("^a$")

var quote = strings.NewReplacer("a", "b")

//go:embed state.go
var source string

var (
	//go:embed state.go
	again string

	table = map[string]int{"a": 1}
	list  = [...]string{"a"}
)

var _ fmt.Stringer = one{}

type one struct{}

func (one) String() string {
	table := map[string]int{}
	table["a"] = 2
	list := list
	list[0] = "b"
	source := source + again
	source += "x"
	for i := range list {
		i++
	}
	return source + pattern.String() + quote.Replace(errTwo.Error())
}

func (o *one) init() {}
