package fake

import "maps"

// blockSize is how much of an image is copied when a part of it is written.
const blockSize = 64 << 10

// content is a sparse image's data and the file system on it. Blocks are never
// changed, only replaced, so a copy shares them.
type content struct {
	blocks map[int64]*[blockSize]byte
	fsType string // empty: none that was made by Format
	fsSize int64
	// unclean says that the journal has not been replayed as yet.
	unclean bool
}

func (c content) clone() content {
	c.blocks = maps.Clone(c.blocks)
	return c
}

func (c content) stored() int64 { return int64(len(c.blocks)) * blockSize }

func (c content) read(p []byte, off int64) {
	for n := 0; n < len(p); {
		block, at := (off+int64(n))/blockSize, (off+int64(n))%blockSize
		part := p[n:min(len(p), n+int(blockSize-at))]
		if b := c.blocks[block]; b != nil {
			copy(part, b[at:])
		} else {
			clear(part)
		}
		n += len(part)
	}
}

func (c *content) write(p []byte, off int64) {
	if c.blocks == nil {
		c.blocks = map[int64]*[blockSize]byte{}
	}
	for n := 0; n < len(p); {
		block, at := (off+int64(n))/blockSize, (off+int64(n))%blockSize
		var b [blockSize]byte
		if old := c.blocks[block]; old != nil {
			b = *old
		}
		n += copy(b[at:], p[n:])
		c.blocks[block] = &b
	}
}

// fileSystem tells what mount and blkid would find: what Format made, or what
// the bytes say; empty where there is none.
func (c content) fileSystem() string {
	if c.fsType != "" {
		return c.fsType
	}
	var head [1082]byte
	c.read(head[:], 0)
	switch {
	case string(head[1024:1028]) == "\xe2\xe1\xf5\xe0":
		return "erofs"
	case string(head[1080:1082]) == "\x53\xef":
		return "ext4"
	case string(head[:4]) == "XFSB":
		return "xfs"
	}
	return ""
}
