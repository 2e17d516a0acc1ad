package volume

import "fmt"

// Secret is text that must not be printed: a cephx key.
type Secret string

const hidden = "<hidden>"

// String hides the secret from logs.
func (Secret) String() string { return hidden }

// Format hides the secret from every verb of fmt, wrong ones included. (%p
// alone asks no type how to print it; go vet refuses it.)
func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, hidden) }

// MarshalText hides the secret from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Reveal returns the secret for the one call that needs it.
func (s Secret) Reveal() string { return string(s) }

// Credentials are a cephx user and its key.
type Credentials struct {
	User string // without the leading «client.»
	Key  Secret // base64, as Ceph prints it
}
