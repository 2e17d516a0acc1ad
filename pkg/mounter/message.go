package mounter

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The messages of a connection, which is about one program and keeps their
// limits (SOCK_SEQPACKET): a request with the order's files, the output first;
// a reply, with a descriptor of the process; the killer's word, as often as he
// likes; the ending.

// maxMessage bounds a message.
const maxMessage = 64 << 10

// request is an order but its files.
type request struct {
	Program   string
	Arguments []string
	Label     string `json:",omitempty"`
	Flusher   bool   `json:",omitempty"`
}

// reply says that the program runs, or why it does not.
type reply struct {
	PID  int    `json:",omitempty"`
	Kind string `json:",omitempty"` // empty: it runs
	Text string `json:",omitempty"`
}

// ending says how the program has ended.
type ending struct {
	How string `json:",omitempty"` // empty: it was content
}

// kill is the killer's word.
type kill struct{ Kill bool }

// kinds are the sentinels that a reply carries.
func kinds() map[string]error {
	return map[string]error{"invalid": volume.ErrInvalid, "denied": volume.ErrDenied, "unavailable": volume.ErrUnavailable}
}

// refuse makes a reply of an error.
func refuse(err error) reply {
	for kind, sentinel := range kinds() {
		if errors.Is(err, sentinel) {
			return reply{Kind: kind, Text: err.Error()}
		}
	}
	return reply{Kind: "unavailable", Text: err.Error()}
}

// err is the reply's error, with the other side's sentinel.
func (r reply) err() error {
	if r.Kind == "" {
		return nil
	}
	sentinel, ok := kinds()[r.Kind]
	if !ok {
		sentinel = volume.ErrUnavailable
	}
	return fmt.Errorf("the mounter refuses: %s (where it is older than this driver, delete its pod when nothing on the node uses it): %w", r.Text, sentinel)
}

// send writes one message.
func send(conn *net.UnixConn, message any, files ...*os.File) error {
	text, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("write a message: %w: %w", err, volume.ErrInvalid)
	}
	var fds []int
	for _, file := range files {
		fds = append(fds, int(file.Fd()))
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	if _, _, err := conn.WriteMsgUnix(text, rights, nil); err != nil {
		return fmt.Errorf("send to the other side: %w: %w", err, volume.ErrUnavailable)
	}
	return nil
}

// receive reads one message. The files are the caller's to close.
func receive(conn *net.UnixConn, message any) ([]*os.File, error) {
	text, rights := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4*(1+maxFiles)))
	n, m, flags, _, err := conn.ReadMsgUnix(text, rights)
	if err != nil {
		return nil, fmt.Errorf("hear from the other side: %w: %w", err, volume.ErrUnavailable)
	}
	files, err := filesOf(rights[:m])
	if err == nil && flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		err = fmt.Errorf("a message is too long: %w", volume.ErrInvalid)
	}
	if err == nil {
		err = decode(text[:n], message)
	}
	if err != nil {
		closeAll(files)
		return nil, err
	}
	return files, nil
}

func decode(text []byte, message any) error {
	if err := json.Unmarshal(text, message); err != nil {
		return fmt.Errorf("a message is none: %w: %w", err, volume.ErrInvalid)
	}
	return nil
}

// filesOf returns the descriptors of a control message.
func filesOf(rights []byte) (files []*os.File, err error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, fmt.Errorf("read the descriptors: %w: %w", err, volume.ErrInvalid)
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return files, fmt.Errorf("read the descriptors: %w: %w", err, volume.ErrInvalid)
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "inherited"))
		}
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, file := range files {
		_ = file.Close()
	}
}
