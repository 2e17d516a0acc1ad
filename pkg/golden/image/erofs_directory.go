package image

import (
	"encoding/binary"
	"slices"
	"strings"
)

// The file types of EROFS' directory entries.
var erofsType = map[kind]byte{file: 1, directory: 2, symlink: 7}

// directory returns a directory's data: blocks that each hold an array of
// entries and after it their names, all in byte order.
func (l *erofs) directory(n *node) []byte {
	all := append([]entry{{".", n}, {"..", l.parent[n]}}, n.entries...)
	slices.SortFunc(all, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	var data []byte
	for len(all) > 0 {
		count := fitting(all)
		// A block is full before the next begins; the last one ends with
		// its last name.
		data = append(data, make([]byte, -len(data)&(erofsBlock-1))...)
		data = append(data, l.directoryBlock(all[:count])...)
		all = all[count:]
	}
	return data
}

// fitting returns how many of the entries one block holds.
func fitting(all []entry) int {
	used := 0
	for i, e := range all {
		if used += erofsDirent + len(e.name); used > erofsBlock {
			return i
		}
	}
	return len(all)
}

func (l *erofs) directoryBlock(entries []entry) []byte {
	block := make([]byte, len(entries)*erofsDirent)
	for i, e := range entries {
		dirent := block[i*erofsDirent:]
		binary.LittleEndian.PutUint64(dirent[0:], l.number[e.node])
		binary.LittleEndian.PutUint16(dirent[8:], uint16(len(block)))
		dirent[10] = erofsType[e.node.kind]
		block = append(block, e.name...)
	}
	return block
}
