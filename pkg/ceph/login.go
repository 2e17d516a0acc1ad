package ceph

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/ceph/go-ceph/rados"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// login says where to connect and as whom. Equal logins share a connection.
type login struct {
	id      loginID
	key     func() (volume.Secret, error)
	cluster string // of the policy, for messages
}

// loginID tells logins apart. It holds a digest of the key, never the key.
type loginID struct {
	monitors string // as Ceph's option mon_host wants them
	user     string
	key      string
}

// ownLogin is the login of a cluster's row. Its key file is read each time
// that a connection is made, so that a replaced key is found.
func ownLogin(row *tenant.Cluster) login {
	return login{
		id:  loginID{monitors: monHost(row.Monitors), user: row.User, key: "file " + row.KeyFile},
		key: func() (volume.Secret, error) { return readKey(row.KeyFile) }, cluster: row.ID,
	}
}

// requestLogin is the login of one request's credentials.
func requestLogin(row *tenant.Cluster, c volume.Credentials) login {
	digest := sha256.Sum256([]byte(c.Key.Reveal()))
	return login{
		id:  loginID{monitors: monHost(row.Monitors), user: c.User, key: hex.EncodeToString(digest[:])},
		key: func() (volume.Secret, error) { return c.Key, nil }, cluster: row.ID,
	}
}

// explain says of a time-out, which Ceph gives but a number, what to look at.
func (l login) explain(err error) error {
	if !is(err, syscall.ETIMEDOUT) {
		return err
	}
	return fmt.Errorf("cluster %s (%s) did not answer in time: look whether its daemons run (`ceph -s`) and can be reached from here (`sdpctl doctor`): %w", l.cluster, l.id.monitors, err)
}

func readKey(path string) (volume.Secret, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read the key file: %w: %w", err, volume.ErrUnavailable)
	}
	return volume.Secret(strings.TrimSpace(string(data))), nil
}

// monHost writes the policy's monitors, messenger v2 addresses, for mon_host.
func monHost(monitors []string) string {
	addresses := make([]string, len(monitors))
	for i, m := range monitors {
		addresses[i] = "[v2:" + m + "]"
	}
	return strings.Join(addresses, ",")
}

// dial connects. It is bounded by ConnectTimeout.
func (o Options) dial(l login) (*connection, error) {
	l.id.user = cmp.Or(o.User, l.id.user)
	key, err := l.key()
	if err == nil {
		err = checkLogin(l.id.user, key)
	}
	if err != nil {
		return nil, fmt.Errorf("log in to %s as client.%s: %w", l.id.monitors, l.id.user, err)
	}
	conn, err := o.prepare(l, key)
	if err == nil {
		err = conn.Connect()
	}
	if err != nil {
		return nil, fmt.Errorf("connect to %s as client.%s: %w", l.id.monitors, l.id.user, classifyLogin(err))
	}
	return newConnection(conn)
}

// keyHeader is what a key has before its secret: type, time of creation and
// the secret's length.
const keyHeader = 12

// checkLogin refuses what Ceph would not merely refuse: it prints a malformed
// key to standard error, and looks for key files when there is no user.
func checkLogin(user string, key volume.Secret) error {
	if user == "" || strings.ContainsAny(user, "\x00\n ") {
		return fmt.Errorf("there is no such user: %w", volume.ErrDenied)
	}
	raw, err := base64.StdEncoding.DecodeString(key.Reveal())
	if err != nil || len(raw) <= keyHeader || len(raw) != keyHeader+int(binary.LittleEndian.Uint16(raw[keyHeader-2:])) {
		// The decoder's error would quote the key.
		return fmt.Errorf("the key is not a cephx key: %w", volume.ErrDenied)
	}
	return nil
}

func (o Options) prepare(l login, key volume.Secret) (*rados.Conn, error) {
	conn, err := rados.NewConnWithUser(l.id.user)
	if err != nil {
		return nil, err
	}
	if err := o.configure(conn); err != nil {
		return nil, err
	}
	if err := conn.SetConfigOption("mon_host", l.id.monitors); err != nil {
		return nil, err
	}
	return conn, conn.SetConfigOption("key", key.Reveal())
}

// classifyLogin is classify for connecting, where ENOENT and EINVAL are about
// the user and the key.
func classifyLogin(err error) error {
	if is(err, syscall.ENOENT, syscall.EINVAL) {
		return fmt.Errorf("%w: %w", err, volume.ErrDenied)
	}
	return classify(err)
}
