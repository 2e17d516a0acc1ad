package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/rbd"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// maxMessage bounds what either side reads.
const maxMessage = 64 << 10

// Request says what to export, and where.
type Request struct {
	Mapping rbd.Mapping
	User    string
	Key     string // in the clear: the socket is the only way it goes
	Timeout time.Duration
}

// Reply says that the file is there, or why it is not.
type Reply struct {
	Kind string `json:",omitempty"` // empty: it is there
	Text string `json:",omitempty"`
}

// Send writes one message.
func Send(w io.Writer, message any) error {
	if err := json.NewEncoder(w).Encode(message); err != nil {
		return fmt.Errorf("send to the other side: %w: %w", err, volume.ErrUnavailable)
	}
	return nil
}

// Receive reads one message.
func Receive(r io.Reader, message any) error {
	if err := json.NewDecoder(io.LimitReader(r, maxMessage)).Decode(message); err != nil {
		return fmt.Errorf("hear from the other side: %w: %w", err, volume.ErrUnavailable)
	}
	return nil
}

// kinds are the sentinels that a reply carries.
func kinds() map[string]error {
	return map[string]error{
		"invalid": volume.ErrInvalid, "not found": volume.ErrNotFound, "no space": volume.ErrNoSpace,
		"denied": volume.ErrDenied, "in use": volume.ErrInUse, "unsupported": volume.ErrUnsupported,
		"unavailable": volume.ErrUnavailable,
	}
}

// Refuse makes a reply of an error.
func Refuse(err error) Reply {
	for kind, sentinel := range kinds() {
		if errors.Is(err, sentinel) {
			return Reply{Kind: kind, Text: err.Error()}
		}
	}
	return Reply{Kind: "unavailable", Text: err.Error()}
}

// Err is the reply's error, which wraps the sentinel of the other side's.
func (r Reply) Err() error {
	if r.Kind == "" {
		return nil
	}
	sentinel, ok := kinds()[r.Kind]
	if !ok {
		sentinel = volume.ErrUnavailable
	}
	return refusal{text: r.Text, sentinel: sentinel}
}

// refusal keeps the text as the other side wrote it; it names the sentinel.
type refusal struct {
	text     string
	sentinel error
}

func (r refusal) Error() string { return r.text }
func (r refusal) Unwrap() error { return r.sentinel }
