package golden

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/golden/image"
	"github.com/sdp-csi/sdp-csi/pkg/record"
	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Import is what to import and how.
type Import struct {
	Source image.Source
	// FsType is image.EROFS (the default) or image.Ext4.
	FsType string
	// Scratch is the directory for what cannot be streamed; empty is the
	// system's directory for temporary files.
	Scratch string
	// Note says what the golden was made of, in words for people.
	Note string
	// Progress may be nil.
	Progress Progress
}

// cleaning bounds how long a failed import removes what it made.
const cleaning = time.Minute

// Import makes a golden: record `creating`, image, content, read back,
// snapshot, record `ready`. Only the last makes it usable, so an import that
// is interrupted anywhere leaves nothing that can be cloned, and the next one
// of the same name starts clean. When the golden is there already, the same
// content is success and another one wraps volume.ErrConflict. While another
// import of the name runs it wraps volume.ErrPending at once.
func (l *Library) Import(ctx context.Context, at tenant.Place, ref volume.GoldenRef, in Import) (volume.Golden, error) {
	unlock, err := l.lock(ctx, at, ref)
	if err != nil {
		return volume.Golden{}, err
	}
	defer unlock()
	rec, err := l.importable(ctx, at, ref)
	if err != nil {
		return volume.Golden{}, err
	}
	scratch := image.NewScratch(in.Scratch)
	// What cannot be removed the next import sweeps.
	defer func() { _ = scratch.Close() }()
	tree, img, err := in.open(ctx, scratch)
	if err != nil {
		return volume.Golden{}, fmt.Errorf("import golden %s: %w", ref, err)
	}
	defer func() { _ = tree.Close() }()
	i := &importing{Library: l, at: at, ref: ref, image: img, progress: in.report}
	if rec.State == volume.GoldenReady {
		err = i.compare(ctx, rec)
	} else {
		rec, err = i.make(ctx, rec, in.Note)
	}
	if err != nil {
		return volume.Golden{}, fmt.Errorf("import golden %s: %w", ref, err)
	}
	return rec.Describe(at.Tenant())
}

// importable returns the golden's record, the zero one without a golden, and
// refuses a name that was used up.
func (l *Library) importable(ctx context.Context, at tenant.Place, ref volume.GoldenRef) (goldenRecord, error) {
	rec, err := l.read(ctx, at, ref)
	if errors.Is(err, volume.ErrNotFound) {
		return goldenRecord{}, nil
	}
	if err != nil {
		return goldenRecord{}, err
	}
	if rec.State == volume.GoldenRetired || rec.State == volume.GoldenDeleted {
		return goldenRecord{}, fmt.Errorf("golden %s is %s and its name is never used again: choose another version: %w", ref, rec.State, volume.ErrConflict)
	}
	if rec.Backend() != l.backend {
		return goldenRecord{}, fmt.Errorf("golden %s is in backend %s, whole or begun: choose another version, or delete it if it was never sealed: %w", ref, rec.Backend(), volume.ErrConflict)
	}
	return rec, nil
}

// open makes the image of what is to be imported.
func (in Import) open(ctx context.Context, scratch *image.Scratch) (*image.Tree, *image.Image, error) {
	unpacked := func(done int64) { in.report(StepUnpack, done, 0) }
	tree, err := image.Open(ctx, in.Source, scratch, unpacked)
	if err != nil {
		return nil, nil, err
	}
	fsType := in.FsType
	if fsType == "" {
		fsType = image.EROFS
	}
	if fsType == image.Ext4 {
		in.report(StepBuild, 0, tree.Bytes())
	}
	img, err := image.New(ctx, fsType, tree, scratch)
	if err != nil {
		_ = tree.Close()
		return nil, nil, err
	}
	return tree, img, nil
}

func (in Import) report(step Step, done, total int64) {
	if in.Progress != nil {
		in.Progress(step, done, total)
	}
}

// importing is an import under way: the lock is held, the image is there.
type importing struct {
	*Library
	at       tenant.Place
	ref      volume.GoldenRef
	image    *image.Image
	progress Progress
}

// compare says whether the golden that is there has the same content.
func (i *importing) compare(ctx context.Context, rec goldenRecord) error {
	digest, err := i.digest(ctx, func(data []byte, at int64) []byte {
		i.progress(StepCompare, at, i.image.Size)
		return data[:cap(data)]
	})
	if err != nil {
		return err
	}
	if digest != rec.Digest || i.image.FsType != rec.FsType {
		return fmt.Errorf("it is there already with other content (%s, %s; this would be %s, %s): choose another version: %w",
			rec.FsType, rec.Digest, i.image.FsType, digest, volume.ErrConflict)
	}
	return nil
}

// make seeds and seals the golden. old is the record that an earlier import
// left, or zero.
func (i *importing) make(ctx context.Context, old goldenRecord, note string) (goldenRecord, error) {
	rec := goldenRecord{
		Head: record.NewHead(), State: volume.GoldenCreating, Golden: i.ref.Name + ":" + i.ref.Version,
		FsType: i.image.FsType, Size: roundUp(i.image.Size), DataBytes: i.image.Size, Source: note,
		Created: i.now().UTC().Truncate(time.Second), Attempt: rand.Text(),
	}
	if err := i.begin(ctx, old, &rec); err != nil {
		return goldenRecord{}, err
	}
	rec, err := i.seed(ctx, rec)
	if err == nil {
		err = i.fence(ctx, rec)
	}
	if err == nil {
		rec, err = i.snapshot(ctx, rec)
	}
	if err != nil {
		return goldenRecord{}, i.giveUp(ctx, err)
	}
	rec.State = volume.GoldenReady
	// From here on nothing is removed: without an answer the golden may be
	// ready, and in use, or not.
	return rec, i.update(ctx, i.at, i.ref, &rec)
}

// roundUp makes an image of whole objects.
func roundUp(size int64) int64 { return (size + chunk - 1) / chunk * chunk }

// begin writes the record, after removing what an earlier import left.
func (i *importing) begin(ctx context.Context, old goldenRecord, rec *goldenRecord) error {
	if err := i.removeImage(ctx, i.at, i.ref); err != nil {
		return err
	}
	if old.State == volume.GoldenCreating {
		rec.Head = old.Head
		return i.update(ctx, i.at, i.ref, rec)
	}
	return i.book.Add(ctx, i.at, i.ref.Image(), rec)
}

// fence refuses to go on when another import took over, which only happens to
// one that slept for longer than its lock lives.
func (i *importing) fence(ctx context.Context, rec goldenRecord) error {
	now, err := i.read(ctx, i.at, i.ref)
	if err != nil {
		return err
	}
	if now.Attempt != rec.Attempt {
		return errTakenOver
	}
	return nil
}

var errTakenOver = fmt.Errorf("another import of the same name took over: %w", volume.ErrPending)

// snapshot takes the snapshot that seals and notes its and the image's ids.
func (i *importing) snapshot(ctx context.Context, rec goldenRecord) (goldenRecord, error) {
	name := i.ref.Image()
	if err := i.store.CreateSnapshot(ctx, i.at, name, volume.SealedSnapshot); err != nil {
		return goldenRecord{}, err
	}
	var err error
	if rec.ImageID, err = i.store.ImageID(ctx, i.at, name); err != nil {
		return goldenRecord{}, err
	}
	rec.SnapshotID, err = i.store.SnapshotID(ctx, i.at, name, volume.SealedSnapshot)
	return rec, err
}

// giveUp removes what a failed import made, also after Ctrl-C. What it cannot
// remove the next import or deletion will.
func (i *importing) giveUp(ctx context.Context, cause error) error {
	if errors.Is(cause, errTakenOver) {
		return cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleaning)
	defer cancel()
	if err := i.abandon(ctx, i.at, i.ref); err != nil {
		return fmt.Errorf("%w (what it wrote could not be removed, the next import or `sdpctl golden delete` will: %s)", cause, err.Error())
	}
	return cause
}
