package volume

// Secret is text that must not be printed: a cephx key.
type Secret string

// String hides the secret from every fmt verb and from logs.
func (Secret) String() string { return "<hidden>" }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return "<hidden>" }

// MarshalText hides the secret from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte("<hidden>"), nil }

// Reveal returns the secret for the one call that needs it.
func (s Secret) Reveal() string { return string(s) }

// Credentials are a cephx user and its key.
type Credentials struct {
	User string // without the leading «client.»
	Key  Secret // base64, as Ceph prints it
}
