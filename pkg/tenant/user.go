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
// tenant's reader or writer, or of the reader of one golden: rotating a key
// makes the next generation beside the old one.
type User struct {
	Tenant     string
	Role       Role             // of a tenant's user
	Golden     volume.GoldenRef // of a golden's reader, without its tenant
	Generation int
}

const (
	userPrefix   = "sdp."
	goldenPrefix = "golden."
)

// String returns the user's name for Ceph, without «client.»:
//
//	sdp.<tenant>.<ro|rw>.<generation>
//	sdp.golden.<tenant>.<name>.<version>.<generation>
//
// No tenant's or golden's name has a dot, so the two forms never meet.
func (u User) String() string {
	n := strconv.Itoa(u.Generation)
	if u.Role != "" {
		return userPrefix + u.Tenant + "." + string(u.Role) + "." + n
	}
	return userPrefix + goldenPrefix + u.Tenant + "." + u.Golden.Name + "." + u.Golden.Version + "." + n
}

// ParseUser reads what String returns; false for a user that is not ours.
func ParseUser(s string) (User, bool) {
	rest, ok := strings.CutPrefix(s, userPrefix)
	end := strings.LastIndexByte(rest, '.')
	if !ok || end < 0 {
		return User{}, false
	}
	n, err := strconv.Atoi(rest[end+1:])
	if err != nil || n < 1 {
		return User{}, false
	}
	u := User{Generation: n}
	if owner, role, ok := strings.Cut(rest[:end], "."); ok && !strings.Contains(role, ".") {
		u.Tenant, u.Role = owner, Role(role)
	} else if !u.parseGolden(rest[:end]) {
		return User{}, false
	}
	return u, u.wellFormed() && u.String() == s
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
	return volume.IsName(u.Tenant, volume.MaxTenantName) &&
		(u.Role == Reader || u.Role == Writer || (u.Role == "" && u.Golden != volume.GoldenRef{}))
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
