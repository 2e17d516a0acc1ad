package wire

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// sourcePrefix begins the source of every mount of ours.
const sourcePrefix = "sdp:"

// maxSource is what mount(2) copies of a source (one page).
const maxSource = 4095

// The accesses in a source.
const (
	accessRead  = "ro"
	accessWrite = "rw"
)

// Source is what the mount table shows of a mapping: its names, its identity
// and its access, each escaped, so that no blank and no slash is in a word.
func Source(m rbd.Mapping) (string, error) {
	access := accessWrite
	if m.ReadOnly {
		access = accessRead
	}
	words := []string{
		m.FSID, strconv.FormatInt(m.PoolID, 10), m.Pool, m.Namespace, m.Image, m.ImageID,
		m.Snapshot, strconv.FormatUint(m.SnapshotID, 10), access,
	}
	for i, w := range words {
		words[i] = url.QueryEscape(w)
	}
	source := sourcePrefix + strings.Join(words, "/")
	if len(source) > maxSource {
		return "", fmt.Errorf("the names of image %.128q are too long for a mount: %w", m.Image, volume.ErrInvalid)
	}
	return source, nil
}

// ParseSource is the inverse of Source; false for the mounts of others.
func ParseSource(source string) (m rbd.Mapping, ours bool) {
	rest, ours := strings.CutPrefix(source, sourcePrefix)
	words := strings.Split(rest, "/")
	if !ours || len(words) != 9 {
		return m, false
	}
	for i, w := range words {
		plain, err := url.QueryUnescape(w)
		if err != nil {
			return m, false
		}
		words[i] = plain
	}
	m.FSID, m.Pool, m.Namespace, m.Image, m.ImageID, m.Snapshot = words[0], words[2], words[3], words[4], words[5], words[6]
	m.ReadOnly = words[8] == accessRead
	var poolErr, snapErr error
	m.PoolID, poolErr = strconv.ParseInt(words[1], 10, 64)
	m.SnapshotID, snapErr = strconv.ParseUint(words[7], 10, 64)
	return m, poolErr == nil && snapErr == nil && (m.ReadOnly || words[8] == accessWrite)
}
