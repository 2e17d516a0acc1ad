package driver

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The limits of a request's fields, in bytes.
const (
	maxField = 128      // a string (CSI spec, Size Limits)
	maxMap   = 4 << 10  // a map<string, string> (same place)
	maxPath  = 4096 - 1 // the kernel's PATH_MAX without its NUL
	maxPart  = 255      // the kernel's NAME_MAX
)

// parseName checks what a CO calls a volume or snapshot. A name is only ever
// hashed, so letters of any language and / or @ or .. do no harm.
func parseName(what, name string) (string, error) {
	switch {
	case name == "":
		return "", fmt.Errorf("the %s's name is missing: %w", what, volume.ErrInvalid)
	case len(name) > maxField:
		return "", fmt.Errorf("the %s's name has %d bytes, the limit is %d: %w", what, len(name), maxField, volume.ErrInvalid)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, isBanned):
		return "", fmt.Errorf("the %s's name %q has a control character or is no UTF-8: %w", what, name, volume.ErrInvalid)
	}
	return name, nil
}

// isBanned says whether a name may not have r: control characters other than
// white space (CSI spec, CreateVolumeRequest.name).
func isBanned(r rune) bool {
	return r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r >= 0x7f && r <= 0x9f
}

// parsePath checks a path of the CO: absolute, without detours.
func parsePath(what, path string) (string, error) {
	switch {
	case path == "":
		return "", fmt.Errorf("%s is missing: %w", what, volume.ErrInvalid)
	case len(path) > maxPath || strings.ContainsRune(path, 0) || hasPart(path, isTooLong):
		return "", fmt.Errorf("%s is longer than a path can be, or has a NUL byte: %w", what, volume.ErrInvalid)
	case !filepath.IsAbs(path) || hasPart(path, isParent):
		return "", fmt.Errorf("%s %.256q is not an absolute path without «..»: %w", what, path, volume.ErrInvalid)
	}
	if path = filepath.Clean(path); path == "/" {
		return "", fmt.Errorf("%s is the root directory: %w", what, volume.ErrInvalid)
	}
	return path, nil
}

func hasPart(path string, is func(part string) bool) bool {
	return slices.ContainsFunc(strings.Split(path, "/"), is)
}

func isTooLong(part string) bool { return len(part) > maxPart }

func isParent(part string) bool { return part == ".." }

// checkMap bounds what a caller can make the driver keep or compare.
func checkMap(what string, m map[string]string) error {
	size := 0
	for key, value := range m {
		size += len(key) + len(value)
	}
	if size > maxMap {
		return fmt.Errorf("the %s have %d bytes, the limit is %d: %w", what, size, maxMap, volume.ErrInvalid)
	}
	return nil
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
			err = fmt.Errorf("the content source is neither a volume nor a snapshot: %w", volume.ErrInvalid)
		}
	case *csi.VolumeContentSource_Volume:
		source.Volume, err = volume.ParseID(t.Volume.GetVolumeId())
	case *csi.VolumeContentSource_Snapshot:
		source.Snapshot, err = volume.ParseSnapshotID(t.Snapshot.GetSnapshotId())
	}
	return source, err
}

// refuseTopology refuses what the driver did not advertise to serve.
func refuseTopology(r *csi.TopologyRequirement) error {
	if len(r.GetRequisite()) == 0 && len(r.GetPreferred()) == 0 {
		return nil
	}
	return fmt.Errorf("accessibility_requirements are not served: every node that reaches Ceph reaches every volume: %w", volume.ErrInvalid)
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
	if err = use.fits(c.backend); err != nil {
		return c, err
	}
	if err = refuseTopology(r.GetAccessibilityRequirements()); err != nil {
		return c, err
	}
	if err = refuseMutable(r.GetMutableParameters()); err != nil {
		return c, err
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

func refuseMutable(m map[string]string) error {
	if len(m) == 0 {
		return nil
	}
	return fmt.Errorf("mutable parameters are not served: leave the VolumeAttributesClass out: %w", volume.ErrInvalid)
}

// complete puts the parts together. A dataSource wins over the class's golden.
func (c *creation) complete(use usage) {
	c.spec.ReadOnly, c.spec.Block, c.spec.FsType = use.readOnly, use.block, use.fsType
	c.spec.Share, c.spec.Prefetch = c.share, c.prefetch
	if c.spec.Source.IsZero() {
		c.spec.Source.Golden = c.golden
	}
}

// check refuses parts that do not go together.
func (c *creation) check() error {
	source := c.spec.Source
	from := c.backend
	switch {
	case source.IsVolume():
		from = source.Volume.Backend
	case source.IsSnapshot():
		from = source.Snapshot.Backend
	}
	switch {
	case c.spec.ReadOnly && source.IsZero():
		return fmt.Errorf("a reader's access mode needs content: name a golden in the class or a dataSource in the claim: %w", volume.ErrInvalid)
	case from != c.backend:
		return fmt.Errorf("%s is of backend %s, the new volume of %s: use a class of its backend: %w", source, from, c.backend, volume.ErrInvalid)
	}
	return nil
}
