package tenant

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
