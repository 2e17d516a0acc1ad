package tenant

import (
	"strconv"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// Role is what a tenant's own user may do with the tenant's data.
type Role string

// The roles of a tenant's users.
const (
	Reader Role = "ro" // for nodes that only read
	Writer Role = "rw" // for nodes that write volumes or seed
)

// User is a cephx user that this project makes. It is one generation of a
// tenant's reader or writer, of the reader of one golden, or of the user that
// writes one volume in CephFS: rotating a key makes the next generation beside
// the old one.
type User struct {
	Tenant     string
	Role       Role             // of a tenant's user
	Golden     volume.GoldenRef // of a golden's reader, without its tenant
	Volume     string           // of a volume's user: its subvolume, without its tenant
	Generation int
}

const (
	userPrefix       = "sdp."
	goldenPrefix     = "golden."
	volumeUserPrefix = "sdpfs."
	subvolumePrefix  = "vol."
)

// String returns the user's name for Ceph, without «client.»:
//
//	sdp.<tenant>.<ro|rw>.<generation>
//	sdp.golden.<tenant>.<name>.<version>.<generation>
//	sdpfs.<tenant>.vol.<hash>.<attempt>.<generation>
//
// No tenant's or golden's name has a dot, so the forms never meet.
func (u User) String() string {
	n := strconv.Itoa(u.Generation)
	switch {
	case u.Role != "":
		return userPrefix + u.Tenant + "." + string(u.Role) + "." + n
	case u.Volume != "":
		return volumeUserPrefix + u.Tenant + "." + u.Volume + "." + n
	}
	return userPrefix + goldenPrefix + u.Tenant + "." + u.Golden.Name + "." + u.Golden.Version + "." + n
}

// ParseUser reads what String returns; false for a user that is not ours.
func ParseUser(s string) (User, bool) {
	end := strings.LastIndexByte(s, '.')
	if end < 0 {
		return User{}, false
	}
	n, err := strconv.Atoi(s[end+1:])
	u := User{Generation: n}
	if err != nil || n < 1 || !u.parse(s[:end]) {
		return User{}, false
	}
	return u, u.wellFormed() && u.String() == s
}

// parse reads a name without its generation.
func (u *User) parse(s string) (ok bool) {
	if rest, is := strings.CutPrefix(s, volumeUserPrefix); is {
		u.Tenant, u.Volume, ok = strings.Cut(rest, ".")
		return ok
	}
	rest, ok := strings.CutPrefix(s, userPrefix)
	if !ok {
		return false
	}
	if owner, role, ok := strings.Cut(rest, "."); ok && !strings.Contains(role, ".") {
		u.Tenant, u.Role = owner, Role(role)
		return true
	}
	return u.parseGolden(rest)
}

func (u *User) parseGolden(s string) bool {
	parts := strings.SplitN(s, ".", 4)
	if len(parts) != 4 || parts[0]+"." != goldenPrefix {
		return false
	}
	u.Tenant = parts[1]
	ref, err := volume.ParseGoldenRef(parts[2] + ":" + parts[3])
	u.Golden = ref
	return err == nil
}

func (u User) wellFormed() bool {
	if !volume.IsName(u.Tenant, volume.MaxTenantName) {
		return false
	}
	if u.Volume != "" {
		return isSubvolume(u.Volume)
	}
	return u.Role == Reader || u.Role == Writer || u.isGoldens()
}

// maxSubvolume bounds a subvolume's name.
const maxSubvolume = 96

// isSubvolume says whether s can be a volume's subvolume: letters, digits and
// dots.
func isSubvolume(s string) bool {
	return strings.HasPrefix(s, subvolumePrefix) && len(s) <= maxSubvolume &&
		strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.") == ""
}

// kind is the user without its generation.
func (u User) kind() User {
	u.Generation = 0
	return u
}

// next is the following generation.
func (u User) next() User {
	u.Generation++
	return u
}

// isOf says whether u is one of a tenant's own users, of whatever role.
func (u User) isOf(tenant string) bool { return u.Role != "" && u.Tenant == tenant }

// isGoldens says whether u is a golden's reader.
func (u User) isGoldens() bool { return u.Role == "" && u.Golden != volume.GoldenRef{} }

// serves says whether u is one of a tenant's own users or the user of one of
// its volumes. A golden's reader serves whoever may use the golden.
func (u User) serves(tenant string) bool { return u.Tenant == tenant && !u.isGoldens() }
