package mount

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The file systems that volumes have.
const (
	ext4  = "ext4"
	xfs   = "xfs"
	erofs = "erofs"
)

// settings are how a file system is mounted.
type settings struct {
	readOnly bool
	remote   bool     // no device of this node
	attrs    uint64   // of the mount: MOUNT_ATTR_*
	words    []string // for the file system
}

// parseSettings turns a class's mount options into settings. An option that
// is not known to be harmless to the node and to the data is refused.
func parseSettings(fsType string, readOnly bool, options []string) (settings, error) {
	// A volume's content is its tenant's: no device nodes, no setuid programs.
	s := settings{readOnly: readOnly, remote: fsType == ceph, attrs: unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOSUID}
	if readOnly {
		s.attrs |= unix.MOUNT_ATTR_RDONLY
	}
	words, err := ownWords(fsType, readOnly)
	if err != nil {
		return settings{}, err
	}
	s.words = words
	for _, o := range options {
		if err := s.add(o); err != nil {
			return settings{}, err
		}
	}
	return s, nil
}

// ownWords are the options that a file system always needs. A read-only mount
// must not write to its device, not even to replay a journal; clones of one
// golden have the same XFS UUID, which XFS refuses without nouuid.
func ownWords(fsType string, readOnly bool) ([]string, error) {
	switch {
	case fsType == ext4 && readOnly:
		return []string{"noload"}, nil
	case fsType == ext4:
		return nil, nil
	case fsType == xfs && readOnly:
		return []string{"norecovery", "nouuid"}, nil
	case fsType == xfs:
		return []string{"nouuid"}, nil
	case (fsType == erofs || fsType == overlay) && readOnly, fsType == ceph:
		return nil, nil
	case fsType == erofs:
		return nil, fmt.Errorf("an EROFS file system cannot be mounted for writing: %w", volume.ErrInvalid)
	}
	return nil, fmt.Errorf("file system %.32q is not one of ext4, xfs, erofs: %w", fsType, volume.ErrInvalid)
}

// add adds one option of a class. What is always so, or says nothing new, adds
// nothing.
func (s *settings) add(option string) error {
	switch option {
	case "noexec":
		s.attrs |= unix.MOUNT_ATTR_NOEXEC
	case "nodiratime":
		s.attrs |= unix.MOUNT_ATTR_NODIRATIME
	case "relatime":
		s.atime(unix.MOUNT_ATTR_RELATIME)
	case "noatime":
		s.atime(unix.MOUNT_ATTR_NOATIME)
	case "strictatime":
		s.atime(unix.MOUNT_ATTR_STRICTATIME)
	case "discard", "nodiscard":
		s.word(option)
	}
	return volume.CheckOption(option, s.readOnly)
}

// atime makes the last option about access times win, as mount(8) does.
func (s *settings) atime(attr uint64) { s.attrs = s.attrs&^unix.MOUNT_ATTR__ATIME | attr }

// word adds an option about writing to a device, which a read-only mount and
// one without a device have no use for, and EROFS does not know.
func (s *settings) word(w string) {
	if !s.readOnly && !s.remote && !slices.Contains(s.words, w) {
		s.words = append(s.words, w)
	}
}

// legacyFlags are attrs as mount(2) has them.
func legacyFlags(attrs uint64) (flags uintptr) {
	pairs := [...]struct {
		attr uint64
		flag uintptr
	}{
		{unix.MOUNT_ATTR_RDONLY, unix.MS_RDONLY}, {unix.MOUNT_ATTR_NOSUID, unix.MS_NOSUID},
		{unix.MOUNT_ATTR_NODEV, unix.MS_NODEV}, {unix.MOUNT_ATTR_NOEXEC, unix.MS_NOEXEC},
		{unix.MOUNT_ATTR_NODIRATIME, unix.MS_NODIRATIME}, {unix.MOUNT_ATTR_NOATIME, unix.MS_NOATIME},
		{unix.MOUNT_ATTR_STRICTATIME, unix.MS_STRICTATIME},
	}
	for _, p := range pairs {
		if attrs&p.attr != 0 {
			flags |= p.flag
		}
	}
	return flags
}

// attrs reads the flags of a row of the mount table.
func (r row) attrs() (attrs uint64) {
	pairs := [...]struct {
		word string
		attr uint64
	}{
		{"ro", unix.MOUNT_ATTR_RDONLY}, {"nosuid", unix.MOUNT_ATTR_NOSUID}, {"nodev", unix.MOUNT_ATTR_NODEV},
		{"noexec", unix.MOUNT_ATTR_NOEXEC}, {"nodiratime", unix.MOUNT_ATTR_NODIRATIME}, {"noatime", unix.MOUNT_ATTR_NOATIME},
	}
	for _, p := range pairs {
		if hasOption(r.flags, p.word) {
			attrs |= p.attr
		}
	}
	return attrs
}
