package fuse

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/fuse/export"
	"github.com/sdp-csi/sdp-csi/pkg/rbd/fuse/wire"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// spot is a directory of the state directory where a mapping's mount is, was
// or will be, with what the kernel shows of it now.
type spot struct {
	dir      string
	mounted  bool
	shows    rbd.Mapping // of a mounted one
	loop     string      // /dev/loopN on its file; empty: none
	exporter int         // the process; 0: none
}

func (s spot) file() string       { return filepath.Join(s.dir, export.FileName) }
func (s spot) log() string        { return s.dir + wire.LogSuffix }
func (s spot) device() rbd.Device { return rbd.Device{Path: s.loop} }

// complete says that the spot shows m, served by a living exporter.
func (s spot) complete(m rbd.Mapping) bool {
	return s.mounted && s.loop != "" && s.exporter != 0 && s.shows.ReadOnly == m.ReadOnly
}

// spot is where a new mapping goes. Its name tells the names of a mapping
// before the dot, so that an unstage, which knows no more, finds all of them;
// after it the identity, so that a new image of an old name has its own.
func (f *Mapper) spot(m rbd.Mapping) spot {
	identity := digest(fmt.Sprintf("%s\x00%d\x00%s\x00%d", m.FSID, m.PoolID, m.ImageID, m.SnapshotID))
	return spot{dir: filepath.Join(f.options.StateDir, namesOf(m)+"."+identity)}
}

func namesOf(m rbd.Mapping) string {
	return digest(strings.Join([]string{m.Pool, m.Namespace, m.Image, m.Snapshot}, "\x00"))
}

// digestLength is how many letters a digest has.
const digestLength = 24

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])[:digestLength]
}

// spots returns what there is of m: its complete mapping or what is left of
// one. Another image that had m's names is not m's.
func (f *Mapper) spots(m rbd.Mapping) ([]spot, error) {
	all, err := f.all()
	if err != nil {
		return nil, err
	}
	var found []spot
	prefix := namesOf(m) + "."
	for _, s := range all {
		if strings.HasPrefix(filepath.Base(s.dir), prefix) && (!s.mounted || m.Identity.Agrees(s.shows.Identity)) {
			found = append(found, s)
		}
	}
	return found, nil
}

// all returns every spot of the state directory.
func (f *Mapper) all() ([]spot, error) {
	entries, err := os.ReadDir(f.options.StateDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the state directory: %w: %w", err, volume.ErrUnavailable)
	}
	mounts, err := mounts()
	if err != nil {
		return nil, err
	}
	devices, err := f.loops.list()
	if err != nil {
		return nil, err
	}
	var all []spot
	for _, dir := range directories(f.options.StateDir, entries) {
		s := spot{dir: dir, loop: devices[filepath.Join(dir, export.FileName)]}
		s.shows, s.mounted = mounts[dir]
		if s.exporter, err = wire.Owner(s.log()); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// directories returns the spots' directories, also where only the log is left.
// The state directory has others' as well.
func directories(parent string, entries []os.DirEntry) []string {
	seen := map[string]bool{}
	var all []string
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), wire.LogSuffix)
		if len(name) == 2*digestLength+1 && name[digestLength] == '.' && !seen[name] {
			seen[name] = true
			all = append(all, filepath.Join(parent, name))
		}
	}
	return all
}
