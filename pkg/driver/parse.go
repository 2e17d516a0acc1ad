package driver

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// maxField is CSI's limit for a string (CSI spec, Size Limits), in bytes.
const maxField = 128

// maxPath is the kernel's PATH_MAX.
const maxPath = 4096

// parseName checks what a CO calls a volume or snapshot (CSI spec, names: any
// Unicode without control characters). A name is only ever hashed, so letters
// of any language and / or @ do no harm.
func parseName(what, name string) (string, error) {
	switch {
	case name == "":
		return "", fmt.Errorf("the %s's name is missing: %w", what, volume.ErrInvalid)
	case len(name) > maxField:
		return "", fmt.Errorf("the %s's name has %d bytes, the limit is %d: %w", what, len(name), maxField, volume.ErrInvalid)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return "", fmt.Errorf("the %s's name %q has a control character or is no UTF-8: %w", what, name, volume.ErrInvalid)
	}
	return name, nil
}

// parsePath checks a path of the CO: absolute, without detours.
func parsePath(what, path string) (string, error) {
	switch {
	case path == "":
		return "", fmt.Errorf("%s is missing: %w", what, volume.ErrInvalid)
	case len(path) >= maxPath || strings.ContainsRune(path, 0):
		return "", fmt.Errorf("%s is too long or has a NUL byte: %w", what, volume.ErrInvalid)
	case !filepath.IsAbs(path) || path == "/" || hasDots(path):
		return "", fmt.Errorf("%s %.256q is not an absolute path without «..»: %w", what, path, volume.ErrInvalid)
	}
	return filepath.Clean(path), nil
}

func hasDots(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if part == ".." {
			return true
		}
	}
	return false
}

func parseSize(r *csi.CapacityRange) (volume.Size, error) {
	s := volume.Size{Required: r.GetRequiredBytes(), Limit: r.GetLimitBytes()}
	return s, s.Check()
}

// parseSource reads a dataSource; zero where there is none.
func parseSource(s *csi.VolumeContentSource) (source volume.Source, err error) {
	switch t := s.GetType().(type) {
	case nil:
		if s != nil {
			err = fmt.Errorf("the content source is of no kind: %w", volume.ErrInvalid)
		}
	case *csi.VolumeContentSource_Volume:
		source.Volume, err = volume.ParseID(t.Volume.GetVolumeId())
	case *csi.VolumeContentSource_Snapshot:
		source.Snapshot, err = volume.ParseSnapshotID(t.Snapshot.GetSnapshotId())
	}
	return source, err
}

// creation is a CreateVolume request, read.
type creation struct {
	parameters
	spec volume.Spec
}

// parseCreation reads a CreateVolume request. It is pure.
func parseCreation(r *csi.CreateVolumeRequest) (c creation, err error) {
	if c.spec.Name, err = parseName("volume", r.GetName()); err != nil {
		return c, err
	}
	use, err := parseCapabilities(r.GetVolumeCapabilities())
	if err != nil {
		return c, err
	}
	if c.parameters, err = parseParameters(r.GetParameters()); err != nil {
		return c, err
	}
	if len(r.GetMutableParameters()) > 0 {
		return c, fmt.Errorf("mutable parameters are not served: leave the VolumeAttributesClass out: %w", volume.ErrInvalid)
	}
	if c.spec.Size, err = parseSize(r.GetCapacityRange()); err != nil {
		return c, err
	}
	if c.spec.Source, err = parseSource(r.GetVolumeContentSource()); err != nil {
		return c, err
	}
	c.complete(use)
	return c, c.check()
}

// complete puts the parts together. A dataSource wins over the class's golden.
func (c *creation) complete(use usage) {
	c.spec.ReadOnly, c.spec.Block, c.spec.FsType = use.readOnly, use.block, use.fsType
	c.spec.Share = c.share
	if c.spec.Source.IsZero() {
		c.spec.Source.Golden = c.golden
	}
}

func (c *creation) check() error {
	if c.spec.ReadOnly && c.spec.Source.IsZero() {
		return fmt.Errorf("a reader's access mode needs content: name a golden in the class or a dataSource in the claim: %w", volume.ErrInvalid)
	}
	return nil
}
