package export

import "sync"

// handles counts who has the file open. While the mapper works nobody may yet;
// afterwards the loop device always does, until it is detached.
type handles struct {
	idle func() // called without the lock, once nobody has it open after settle

	mu      sync.Mutex
	open    int
	settled bool
}

func (h *handles) opened() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open++
}

func (h *handles) released() {
	h.mu.Lock()
	h.open--
	idle := h.settled && h.open == 0
	h.mu.Unlock()
	if idle {
		h.idle()
	}
}

// settle says that the mapper is done, or dead.
func (h *handles) settle() {
	h.mu.Lock()
	h.settled = true
	idle := h.open == 0
	h.mu.Unlock()
	if idle {
		h.idle()
	}
}
