package ceph

import (
	"context"
	"encoding/binary"
	"fmt"
	"syscall"

	"github.com/ceph/go-ceph/rados"
	librbd "github.com/ceph/go-ceph/rbd"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// features are those of every image. exclusive-lock keeps a second writer out
// and object-map and fast-diff need it; deep-flatten lets a clone's snapshots
// be cut off from the parent too.
const features = librbd.FeatureLayering | librbd.FeatureExclusiveLock | librbd.FeatureObjectMap |
	librbd.FeatureFastDiff | librbd.FeatureDeepFlatten

// objectOrder makes objects of 4 MiB.
const objectOrder = 22

// newImageOptions returns the options of a new image, and more of them. The
// caller destroys them.
func newImageOptions(row *tenant.Cluster, more map[librbd.ImageOption]uint64) (*librbd.ImageOptions, error) {
	options := librbd.NewRbdImageOptions()
	err := setNumbers(options, map[librbd.ImageOption]uint64{
		librbd.ImageOptionFormat:   2,
		librbd.ImageOptionFeatures: features,
		librbd.ImageOptionOrder:    objectOrder,
	})
	if err == nil {
		err = setNumbers(options, more)
	}
	if err == nil && row.DataPool != "" {
		err = options.SetString(librbd.ImageOptionDataPool, row.DataPool)
	}
	if err != nil {
		options.Destroy()
		return nil, err
	}
	return options, nil
}

func setNumbers(options *librbd.ImageOptions, numbers map[librbd.ImageOption]uint64) error {
	for option, value := range numbers {
		if err := options.SetUint64(option, value); err != nil {
			return err
		}
	}
	return nil
}

// CreateImage implements rbd.Images.
func (c *Cluster) CreateImage(ctx context.Context, at tenant.Place, name string, size int64) error {
	err := c.in(ctx, at, func(ioctx *rados.IOContext) error {
		options, err := newImageOptions(at.Cluster(), nil)
		if err != nil {
			return err
		}
		defer options.Destroy()
		return librbd.CreateImage(ioctx, name, uint64(size), options)
	})
	return about("create image", at, name, c.noNamespace(ctx, at, err))
}

// noNamespace tells a tenant whose namespace was never made from something
// else that is not found.
func (c *Cluster) noNamespace(ctx context.Context, at tenant.Place, err error) error {
	if !is(err, syscall.ENOENT) {
		return err
	}
	there := true
	if asked := c.connections.use(ctx, ownLogin(at.Cluster()), func(conn *connection) error {
		ioctx, err := conn.in(at.Pool(), "")
		if err == nil {
			there, err = librbd.NamespaceExists(ioctx, at.Namespace())
		}
		return classify(err)
	}); asked != nil || there {
		return err
	}
	return fmt.Errorf("the tenant has no namespace in pool %s, run «sdpctl tenant create %s»: %w", at.Pool(), at.Tenant(), volume.ErrUnavailable)
}

// CloneImage implements rbd.Images. librbd opens the parent read-only, so
// clones of one parent do not wait for each other.
func (c *Cluster) CloneImage(ctx context.Context, parent rbd.Parent, at tenant.Place, name string) error {
	err := c.connections.use(ctx, ownLogin(at.Cluster()), func(conn *connection) error {
		from, err := conn.in(parent.Place.Pool(), parent.Place.Namespace())
		if err != nil {
			return noPool(parent.Place, err)
		}
		to, err := conn.in(at.Pool(), at.Namespace())
		if err != nil {
			return noPool(at, err)
		}
		return classify(clone(from, parent, to, at, name))
	})
	return about("clone "+parent.Image+"@"+parent.Snapshot+" to", at, name, c.noNamespace(ctx, at, err))
}

func clone(from *rados.IOContext, parent rbd.Parent, to *rados.IOContext, at tenant.Place, name string) error {
	options, err := newImageOptions(at.Cluster(), map[librbd.ImageOption]uint64{librbd.ImageOptionCloneFormat: 2})
	if err != nil {
		return err
	}
	defer options.Destroy()
	return librbd.CloneImage(from, parent.Image, parent.Snapshot, to, name, options)
}

// ResizeImage implements rbd.Images. librbd takes the image's lock from a
// holder that gives it up, or lets the holder do it; one that does neither is
// volume.ErrInUse.
func (c *Cluster) ResizeImage(ctx context.Context, at tenant.Place, name string, size int64) error {
	err := c.open(ctx, at, name, func(image *librbd.Image) error {
		if has, err := image.GetSize(); err != nil || has >= uint64(size) {
			return err
		}
		return image.Resize(uint64(size))
	})
	return about("resize image", at, name, err)
}

// ImageID implements rbd.Images.
func (c *Cluster) ImageID(ctx context.Context, at tenant.Place, name string) (string, error) {
	var id string
	err := c.in(ctx, at, func(ioctx *rados.IOContext) (err error) {
		id, err = imageID(ioctx, name)
		return err
	})
	return id, about("look up image", at, name, err)
}

// idPrefix is what the object that holds an image's id has before the image's
// name (Ceph's RBD layout, which every client shares).
const idPrefix = "rbd_id."

// imageID reads an image's id: a length of 4 bytes, little endian, and text.
func imageID(ioctx *rados.IOContext, name string) (string, error) {
	data, err := readObject(ioctx, idPrefix+name)
	if err != nil {
		return "", err
	}
	if len(data) < 4 || int(binary.LittleEndian.Uint32(data)) != len(data)-4 || len(data) == 4 {
		return "", fmt.Errorf("%s%s is not an image's id: %w", idPrefix, name, volume.ErrUnavailable)
	}
	return string(data[4:]), nil
}

// RenameImage implements rbd.Images.
func (c *Cluster) RenameImage(ctx context.Context, at tenant.Place, from, to string) error {
	err := c.in(ctx, at, func(ioctx *rados.IOContext) error {
		err := librbd.GetImage(ioctx, from).Rename(to)
		if is(err, syscall.EEXIST) {
			return finishRename(ioctx, from, to, err)
		}
		return err
	})
	return about("rename image to "+to, at, from, err)
}

// The directory of a namespace's images, and what its omap has before names
// (Ceph's RBD layout).
const (
	directoryObject = "rbd_directory"
	directoryName   = "name_"
)

// finishRename takes up a rename that was interrupted. librbd gives the image
// its new name beside the old one, changes the directory, and takes the old
// name away; a name of another image is taken.
func finishRename(ioctx *rados.IOContext, from, to string, taken error) error {
	old, err := imageID(ioctx, from)
	if err != nil {
		return err
	}
	if found, err := imageID(ioctx, to); err != nil || found != old {
		return taken
	}
	names, err := listKeys(ioctx, directoryObject, directoryName+from, "", 1)
	if err != nil {
		return err
	}
	if len(names) == 0 || names[0] != directoryName+from {
		return ioctx.Delete(idPrefix + from)
	}
	if err := ioctx.Delete(idPrefix + to); err != nil {
		return err
	}
	return librbd.GetImage(ioctx, from).Rename(to)
}

// open runs call with an image that is open for writing.
func (c *Cluster) open(ctx context.Context, at tenant.Place, name string, call func(*librbd.Image) error) error {
	return c.in(ctx, at, func(ioctx *rados.IOContext) error { return withImage(ioctx, name, librbd.OpenImage, call) })
}

// openReadOnly runs call with an image that is open for reading.
func (c *Cluster) openReadOnly(ctx context.Context, at tenant.Place, name string, call func(*librbd.Image) error) error {
	return c.in(ctx, at, func(ioctx *rados.IOContext) error {
		return withImage(ioctx, name, librbd.OpenImageReadOnly, call)
	})
}

// opener is librbd.OpenImage or librbd.OpenImageReadOnly.
type opener func(ioctx *rados.IOContext, name, snapshot string) (*librbd.Image, error)

func withImage(ioctx *rados.IOContext, name string, open opener, call func(*librbd.Image) error) error {
	image, err := open(ioctx, name, librbd.NoSnapshot)
	if err != nil {
		return err
	}
	err = call(image)
	if cerr := image.Close(); err == nil {
		err = cerr
	}
	return err
}
