package volume

import (
	"sync"
	"sync/atomic"
)

var count int

var mu sync.Mutex

var once = sync.Once{}

var pointer = atomic.Pointer[int]{}

var cache = make(map[string]int)

var shared = &table{}

var hook = func() {}

var a, b = 1, load()

type table struct{ rows []int }

func load() int { return 0 }

func init() {}
