package mount

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The areas that tell whether a device has content. mkfs.ext4 and mkfs.xfs
// begin by clearing both of them. mkfs.ext4 then writes everything else and,
// after an fsync, the head with the superblock, so that a killed one leaves
// them clear; that needs blocks of 4 KiB.
const (
	headSize = 4 << 10
	tailSize = 64 << 10
)

// signature is what a kind of content has at a fixed place.
type signature struct {
	offset int64
	magic  string
	kind   string
}

// signatures returns what is recognised, in the order of trust.
func signatures() []signature {
	return []signature{
		{0, "XFSB", xfs},
		{1080, "\x53\xef", ext4},
		{1024, "\xe2\xe1\xf5\xe0", erofs},
		// Content of other kinds that can leave the head clear.
		{4096, "\xfc\x4e\x2b\xa9", "an md RAID"},
		{4096 + 24, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81", "bcache"},
		{4096 + 24, "\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef", "bcachefs"},
		{16384, "SKUL\xba\xbe", "LUKS"},
		{32768, "JFS1", "jfs"},
		{32768 + 1, "CD001", "iso9660"},
		{32768 + 1, "BEA01", "udf"},
		{65536, "\x01\x16\x19\x70", "gfs2"},
		{65536 + 52, "ReIsEr", "reiserfs"},
		{65536 + 64, "_BHRfS_M", "btrfs"},
	}
}

// kinds of content that are no file system of ours.
const (
	blank       = ""
	unfinished  = "unfinished " // and the file system that was being made
	unknownData = "unknown data"
)

// xfsInProgress is the superblock's byte that mkfs.xfs sets until it is done.
const xfsInProgress = 126

// inspect tells what a device of that size has on it: blank, the name of a
// file system, or another kind of content.
func inspect(r io.ReaderAt, size int64) (string, error) {
	head, err := readArea(r, 0, min(headSize, size))
	if err != nil {
		return "", err
	}
	for _, s := range signatures() {
		found, err := s.in(r, size)
		if err != nil {
			return "", err
		}
		if found {
			return s.kindOf(head), nil
		}
	}
	tail, err := readArea(r, max(0, size-tailSize), min(tailSize, size))
	if err != nil {
		return "", err
	}
	if !isClear(head) || !isClear(tail) {
		return unknownData, nil
	}
	return blank, nil
}

func (s signature) in(r io.ReaderAt, size int64) (bool, error) {
	if s.offset+int64(len(s.magic)) > size {
		return false, nil
	}
	have, err := readArea(r, s.offset, int64(len(s.magic)))
	return string(have) == s.magic, err
}

func (s signature) kindOf(head []byte) string {
	if s.kind == xfs && len(head) > xfsInProgress && head[xfsInProgress] != 0 {
		return unfinished + xfs
	}
	return s.kind
}

func readArea(r io.ReaderAt, offset, n int64) ([]byte, error) {
	buf := make([]byte, n)
	if _, err := r.ReadAt(buf, offset); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read %d bytes at %d: %w: %w", n, offset, err, volume.ErrUnavailable)
	}
	return buf, nil
}

func isClear(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
