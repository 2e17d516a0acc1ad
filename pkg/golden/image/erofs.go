package image

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The numbers of EROFS' on-disk format, as its documentation names them.
const (
	erofsMagic       = 0xE0F5E1E2
	erofsSuperOffset = 1024
	erofsChecksum    = 1 // feature_compat: the superblock has a checksum
	erofsBlockBits   = 12
	erofsBlock       = 1 << erofsBlockBits
	erofsInode       = 64 // bytes of an extended inode
	erofsNID         = 32 // bytes that a nid counts
	erofsDirent      = 12
	erofsMaxBlocks   = 1 << 32
)

// erofsUUID is the same in all goldens: nothing mounts them by UUID, and a
// digest must depend on the content only.
var erofsUUID = [16]byte{'s', 'd', 'p', '-', 'c', 's', 'i', 0x40, 0x80, 'g', 'o', 'l', 'd', 'e', 'n', '1'}

// erofs lays an image out: the superblock's block, the inodes, and then each
// node's data from a block's beginning.
type erofs struct {
	nodes  []*node // in the order of their inodes; the root is the first
	number map[*node]uint64
	parent map[*node]*node
	links  map[*node]uint32
	block  map[*node]int64 // where the data begin
	data   map[*node][]byte
	end    int64 // the first free block
}

func newEROFS(t *Tree) (*Image, error) {
	l := &erofs{
		number: map[*node]uint64{}, parent: map[*node]*node{t.root: t.root}, links: map[*node]uint32{},
		block: map[*node]int64{}, data: map[*node][]byte{},
	}
	t.walk(l.enroll)
	l.end = 1 + blocks(int64(len(l.nodes))*erofsInode)
	for _, n := range l.nodes {
		l.allot(n)
	}
	if l.end >= erofsMaxBlocks {
		return nil, fmt.Errorf("the data set has %d bytes, EROFS holds 16 TiB: %w", t.bytes, volume.ErrOutOfRange)
	}
	pieces := l.pieces()
	size := l.end << erofsBlockBits
	open := func() (io.ReadCloser, error) { return &pieceReader{pieces: pieces, size: size}, nil }
	return &Image{FsType: EROFS, Size: size, open: open}, nil
}

func blocks(bytes int64) int64 { return (bytes + erofsBlock - 1) >> erofsBlockBits }

// enroll gives a node its inode.
func (l *erofs) enroll(n *node) {
	// The first block holds the superblock, so no nid is 0, which programs
	// take for a free directory entry.
	l.number[n] = uint64(erofsBlock+len(l.nodes)*erofsInode) / erofsNID
	l.nodes = append(l.nodes, n)
	for _, e := range n.entries {
		l.links[e.node]++
		if e.node.kind == directory {
			l.parent[e.node] = n
		}
	}
}

// allot gives a node's data their place.
func (l *erofs) allot(n *node) {
	switch n.kind {
	case directory:
		l.data[n] = l.directory(n)
	case symlink:
		l.data[n] = []byte(n.target)
	}
	l.block[n] = l.end
	l.end += blocks(l.size(n))
}

func (l *erofs) size(n *node) int64 {
	if n.kind == file {
		return n.size
	}
	return int64(len(l.data[n]))
}

// superblock is the first block of the image.
func (l *erofs) superblock() []byte {
	block := make([]byte, erofsBlock)
	s, le := block[erofsSuperOffset:], binary.LittleEndian
	le.PutUint32(s[0:], erofsMagic)
	le.PutUint32(s[8:], erofsChecksum)
	s[12] = erofsBlockBits
	le.PutUint16(s[14:], uint16(l.number[l.nodes[0]]))
	le.PutUint64(s[16:], uint64(len(l.nodes)))
	le.PutUint32(s[36:], uint32(l.end))
	copy(s[48:], erofsUUID[:])
	// CRC-32C over the block from the superblock on, without the last
	// inversion that the usual CRC-32C has.
	le.PutUint32(s[4:], ^crc32.Checksum(s, crc32.MakeTable(crc32.Castagnoli)))
	return block
}

// inodes are the extended inodes of all nodes, times 0, data uncompressed.
func (l *erofs) inodes() []byte {
	table, le := make([]byte, len(l.nodes)*erofsInode), binary.LittleEndian
	for i, n := range l.nodes {
		ino := table[i*erofsInode:]
		le.PutUint16(ino[0:], 1) // extended, flat
		le.PutUint16(ino[4:], unixMode(n))
		le.PutUint64(ino[8:], uint64(l.size(n)))
		le.PutUint32(ino[16:], uint32(l.block[n]))
		le.PutUint32(ino[20:], uint32(i+1))
		le.PutUint32(ino[24:], n.uid)
		le.PutUint32(ino[28:], n.gid)
		le.PutUint32(ino[44:], l.linkCount(n))
	}
	return table
}

// linkCount of a directory is two and one for each directory in it.
func (l *erofs) linkCount(n *node) uint32 {
	if n.kind != directory {
		return l.links[n]
	}
	count := uint32(2)
	for _, e := range n.entries {
		if e.node.kind == directory {
			count++
		}
	}
	return count
}

// pieces are the image's parts in order; what is between them is zero.
func (l *erofs) pieces() []piece {
	all := []piece{
		{offset: 0, size: erofsBlock, data: l.superblock()},
		{offset: erofsBlock, size: int64(len(l.nodes)) * erofsInode, data: l.inodes()},
	}
	for _, n := range l.nodes {
		if size := l.size(n); size > 0 {
			all = append(all, piece{offset: l.block[n] << erofsBlockBits, size: size, data: l.data[n], open: n.open})
		}
	}
	return all
}
