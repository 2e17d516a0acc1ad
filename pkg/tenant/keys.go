package tenant

import (
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// The fields of a node-stage Secret. The first two are the names that Ceph's
// own CSI driver uses.
const (
	FieldReaderUser = "userID"
	FieldReaderKey  = "userKey"
	// The writer is there where the tenant's nodes may write.
	FieldWriterUser = "writerID"
	FieldWriterKey  = "writerKey"
)

// goldenField and golden.<tenant>.<name>.<version> name the field of a
// golden's reader. Its value is <user>:<key>.
const goldenField = "golden."

// Fields writes the keys as a Secret's fields. They are not hidden in it.
func (k Keys) Fields() map[string]string {
	fields := map[string]string{FieldReaderUser: k.Reader.User, FieldReaderKey: k.Reader.Key.Reveal()}
	if k.Writer != nil {
		fields[FieldWriterUser], fields[FieldWriterKey] = k.Writer.User, k.Writer.Key.Reveal()
	}
	for ref, c := range k.Goldens {
		fields[goldenField+ref.Tenant+"."+ref.Name+"."+ref.Version] = c.User + ":" + c.Key.Reveal()
	}
	return fields
}

// ReadOnly are the keys without the writer's.
func (k Keys) ReadOnly() Keys {
	k.Writer = nil
	return k
}

// GoldenReaders returns the keys of goldens' readers among a Secret's fields.
// Other fields are somebody else's.
func GoldenReaders(fields map[string]string) map[volume.GoldenRef]volume.Credentials {
	var found map[volume.GoldenRef]volume.Credentials
	for field, value := range fields {
		name, ok := strings.CutPrefix(field, goldenField)
		parts := strings.SplitN(name, ".", 3)
		if !ok || len(parts) != 3 {
			continue
		}
		ref, err := volume.ParseGoldenRef(parts[0] + "/" + parts[1] + ":" + parts[2])
		if err != nil {
			continue
		}
		if found == nil {
			found = map[volume.GoldenRef]volume.Credentials{}
		}
		user, key, _ := strings.Cut(value, ":")
		found[ref] = volume.Credentials{User: user, Key: volume.Secret(key)}
	}
	return found
}
