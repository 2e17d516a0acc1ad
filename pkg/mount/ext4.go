package mount

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// ext4Shape is what a superblock says about a file system's size (kernel
// documentation, filesystems/ext4/super.rst).
type ext4Shape struct {
	blocks, blockSize uint64
	first             uint64 // block of the first group
	perGroup          uint64
	overhead          uint64 // blocks that a group may need for itself
}

// readExt4 reads the superblock.
func readExt4(r io.ReaderAt) (ext4Shape, error) {
	const offset, size, magic = 1024, 1024, 0xef53
	b, err := readArea(r, offset, size)
	if err != nil {
		return ext4Shape{}, err
	}
	if binary.LittleEndian.Uint16(b[0x38:]) != magic {
		return ext4Shape{}, fmt.Errorf("there is no ext4 superblock: %w", volume.ErrInvalid)
	}
	s := parseExt4(b)
	if s.blockSize > 1<<16 || s.perGroup == 0 {
		return ext4Shape{}, fmt.Errorf("the ext4 superblock makes no sense: %w", volume.ErrInvalid)
	}
	return s, nil
}

func parseExt4(b []byte) ext4Shape {
	const wide = 0x80 // INCOMPAT_64BIT
	half := func(at int) uint64 { return uint64(binary.LittleEndian.Uint16(b[at:])) }
	word := func(at int) uint64 { return uint64(binary.LittleEndian.Uint32(b[at:])) }
	s := ext4Shape{blocks: word(0x4), blockSize: 1024 << min(word(0x18), 32), first: word(0x14), perGroup: word(0x20)}
	descriptor := uint64(32)
	if word(0x60)&wide != 0 {
		s.blocks |= word(0x150) << 32
		descriptor = max(descriptor, half(0xfe))
	}
	if s.perGroup == 0 {
		return s
	}
	inodes := word(0x28) * half(0x58) / s.blockSize
	descriptors := (s.blocks/s.perGroup+1)*descriptor/s.blockSize + 1
	// Two bitmaps and, in some groups, copies of the superblock and of all
	// descriptors with what is reserved for more.
	s.overhead = inodes + 2 + 1 + descriptors + half(0xce)
	return s
}

// fits returns how many blocks a device of that size has use for. As with
// mke2fs and resize2fs, a last group of hardly more than its own overhead is
// left away.
func (s ext4Shape) fits(size int64) uint64 {
	const worth = 50
	blocks := uint64(size) / s.blockSize
	if blocks <= s.first {
		return 0
	}
	if rest := (blocks - s.first) % s.perGroup; rest < s.overhead+worth {
		blocks -= rest
	}
	return blocks
}
