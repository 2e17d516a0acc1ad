package volume

import "fmt"

var (
	sizes = map[string]int{}
	names = []string{"a"}
	whole = table{}
	level = 1
	given = 2
	taken = [...]int{1}
)

func write() {
	sizes["a"] = 1
	delete(sizes, "a")
	names[0] = "b"
	names = append(names, "c")
	(whole.rows)[1]++
	for level = range 3 {
		fmt.Println()
	}
	_ = &given
	copy(taken[:], taken[:])
}
