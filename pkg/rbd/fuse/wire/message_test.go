package wire

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func TestReplyCarriesTheSentinel(t *testing.T) {
	for _, sentinel := range []error{
		volume.ErrInvalid, volume.ErrNotFound, volume.ErrNoSpace, volume.ErrDenied,
		volume.ErrInUse, volume.ErrUnsupported, volume.ErrUnavailable,
	} {
		var wire bytes.Buffer
		if err := Send(&wire, Refuse(fmt.Errorf("open x: %w", sentinel))); err != nil {
			t.Fatal(err)
		}
		var reply Reply
		if err := Receive(&wire, &reply); err != nil {
			t.Fatal(err)
		}
		if err := reply.Err(); !errors.Is(err, sentinel) || err.Error() != "open x: "+sentinel.Error() {
			t.Errorf("%v became %v", sentinel, err)
		}
	}
	if err := (Reply{}).Err(); err != nil {
		t.Error(err)
	}
	for _, r := range []Reply{Refuse(errors.New("other")), {Kind: "newer", Text: "than us"}} {
		if err := r.Err(); !errors.Is(err, volume.ErrUnavailable) {
			t.Errorf("%+v became %v", r, err)
		}
	}
}

func TestRequestHasTheKey(t *testing.T) {
	var wire bytes.Buffer
	sent := Request{Mapping: sealed(), User: "u", Key: "k==", Timeout: time.Second}
	if err := Send(&wire, sent); err != nil {
		t.Fatal(err)
	}
	var got Request
	if err := Receive(&wire, &got); err != nil || got.Key != sent.Key || got.Timeout != sent.Timeout || !same(got.Mapping, sent.Mapping) {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestReceiveIsBounded(t *testing.T) {
	var reply Reply
	for name, text := range map[string]string{
		"nothing": "", "half": `{"Kind":`, "too long": `{"Text":"` + strings.Repeat("x", maxMessage) + `"}`,
	} {
		if err := Receive(strings.NewReader(text), &reply); !errors.Is(err, volume.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
