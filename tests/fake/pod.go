package fake

import (
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
)

// Fill writes a file system and data into an image, as a test's golden or a
// pod's writes would. It wraps volume.ErrNotFound without the image.
func (c *Ceph) Fill(at tenant.Place, name, fsType, data string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, err := c.space(at).opened(name)
	if err != nil {
		return err
	}
	i.content.fsType, i.content.fsSize = fsType, i.size
	i.content.write([]byte(data), 0)
	return nil
}

// Soil leaves an image's file system as one that is mounted and written to
// looks: its journal has something to replay.
func (c *Ceph) Soil(at tenant.Place, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, err := c.space(at).opened(name)
	if err != nil {
		return err
	}
	i.content.unclean = true
	return nil
}

// Peek returns the first n bytes of an image, or of its snapshot where name
// has one after an @.
func (c *Ceph) Peek(at tenant.Place, name string, n int) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	head, snap, isSnap := strings.Cut(name, "@")
	i, err := c.space(at).opened(head)
	if err != nil {
		return "", err
	}
	from := i.content
	if isSnap {
		s, err := c.snapshot(at, head, snap)
		if err != nil {
			return "", err
		}
		from = s.content
	}
	data := make([]byte, n)
	from.read(data, 0)
	return string(data), nil
}
