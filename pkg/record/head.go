package record

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Version is the version of the records' JSON that this code writes.
const Version = 1

// Head begins every record: the version of its JSON, and unwritten, how Ceph
// has it. A struct is a record by having a Head, or a Progress, in it.
type Head struct {
	Version int `json:"v"`

	seen []byte // as Ceph has it
}

// NewHead begins a new record.
func NewHead() Head { return Head{Version: Version} }

func (h *Head) head() *Head { return h }

// Record is a pointer to a struct with a Head in it.
type Record interface{ head() *Head }

// State is how far a record's subject is.
type State string

// What is being made or removed is there for nobody else.
const (
	Creating State = "creating"
	Ready    State = "ready"
	Deleting State = "deleting"
)

// Progress is the head of a record whose subject is made and removed in steps.
// Every change is made to the bytes that were seen and to no others, and every
// attempt to make or remove something has a name of its own. So of two
// controllers at work on the same thing (one may not know as yet that it is
// the leader no more) the later one wins, and the other stops instead of
// taking apart what the later one made.
type Progress struct {
	Head
	State   State  `json:"state"`
	Attempt string `json:"attempt"`
}

func (p *Progress) progress() *Progress { return p }

// Advancing is a pointer to a struct with a Progress in it.
type Advancing interface {
	Record
	progress() *Progress
}

// Begin names a new attempt.
func Begin(s State) Progress { return Progress{Head: NewHead(), State: s, Attempt: rand.Text()} }

// Require refuses, after a read that may have failed, a subject that is not
// ready: an unfinished one is not there as yet, and one that is being deleted
// no more. It names the subject, and wraps volume.ErrNotFound.
func (p *Progress) Require(subject string, read error) error {
	switch {
	case read != nil:
		return fmt.Errorf("%s: %w", subject, read)
	case p.State != Ready:
		return fmt.Errorf("%s is in state %s: %w", subject, p.State, volume.ErrNotFound)
	}
	return nil
}

// Stands says, after a read that may have failed, whether the subject is
// there. One that is unfinished remove takes apart first.
func (p *Progress) Stands(read error, remove func() error) (bool, error) {
	switch {
	case read == nil && p.State == Ready:
		return true, nil
	case read == nil:
		return false, remove()
	case errors.Is(read, volume.ErrNotFound):
		return false, nil
	}
	return false, read
}

// Encode returns a record as it is stored.
func Encode(rec Record) ([]byte, error) {
	data, err := json.Marshal(rec)
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	return data, nil
}

// Decode reads a record and refuses one that a newer program wrote, because
// what it does not understand it could destroy.
func Decode(name string, data []byte, rec Record) error {
	var head Head
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("record %s is damaged: %w", name, err)
	}
	if head.Version != Version {
		return fmt.Errorf("record %s has version %d, this program knows %d: upgrade it: %w", name, head.Version, Version, volume.ErrUnsupported)
	}
	if err := json.Unmarshal(data, rec); err != nil {
		return fmt.Errorf("record %s is damaged: %w", name, err)
	}
	rec.head().seen = data
	return nil
}
