package ceph

import (
	"strconv"
	"time"

	"github.com/ceph/go-ceph/rados"
)

// Options bound what a connection may cost. A zero field means its default.
type Options struct {
	// ConnectTimeout bounds connecting to the monitors (15 s).
	ConnectTimeout time.Duration
	// MonitorTimeout bounds one request to the monitors (15 s).
	MonitorTimeout time.Duration
	// OSDTimeout bounds one operation on one object (30 s). An image operation
	// is a sequence of these.
	OSDTimeout time.Duration
	// Idle is how long a Reader keeps a connection that nobody uses (5 min).
	Idle time.Duration
	// User is whose key the rows' key files hold, in place of the rows' own user.
	User string
	// Connections is how many connections a Reader holds at most (64).
	Connections int

	// patient is a connection for calls that librados does not end.
	patient bool
}

func (o Options) withDefaults() Options {
	o.ConnectTimeout = orDefault(o.ConnectTimeout, 15*time.Second)
	o.MonitorTimeout = orDefault(o.MonitorTimeout, 15*time.Second)
	o.OSDTimeout = orDefault(o.OSDTimeout, 30*time.Second)
	o.Idle = orDefault(o.Idle, 5*time.Minute)
	o.Connections = orDefault(o.Connections, 64)
	return o
}

func orDefault[T time.Duration | int](value, fallback T) T {
	if value > 0 {
		return value
	}
	return fallback
}

// seconds is a duration as Ceph's options want it, at least one second.
func seconds(d time.Duration) string {
	return strconv.Itoa(max(1, int(d.Round(time.Second)/time.Second)))
}

// commandTimeout bounds a command to the monitors, which librados ends well.
// One to the manager it leaves with its answer's place on a stack that is gone:
// the answer, when it comes, ends the process. That has no end here.
func (o Options) commandTimeout() string {
	if o.patient {
		return "0"
	}
	return seconds(o.MonitorTimeout)
}

// settings are Ceph's options of every connection, without its address and
// its key. There is no ceph.conf: what is not here is Ceph's default, or what
// the monitors' configuration database says.
func (o Options) settings() [][2]string {
	return [][2]string{
		{"client_mount_timeout", seconds(o.ConnectTimeout)},
		{"rados_mon_op_timeout", o.commandTimeout()},
		{"rados_osd_op_timeout", seconds(o.OSDTimeout)},
		// Errors are returned, with what was being done; Ceph's own log would
		// name neither the volume nor the request. (A refused key makes
		// libceph-common 16 write one line to standard error all the same,
		// which names neither key nor user.)
		{"log_to_stderr", "false"},
		{"err_to_stderr", "false"},
		{"log_to_file", "false"},
		{"log_file", ""},
		{"admin_socket", ""},
		// Writes come in large pieces or once only, so a cache saves nothing,
		// and its memory would be per open image.
		{"rbd_cache", "false"},
		// One messenger thread serves a controller; each costs memory in
		// every connection of a node.
		{"ms_async_op_threads", "1"},
	}
}

func (o Options) configure(conn *rados.Conn) error {
	for _, s := range o.settings() {
		if err := conn.SetConfigOption(s[0], s[1]); err != nil {
			return err
		}
	}
	return nil
}
