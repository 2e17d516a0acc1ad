package driver

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// What messages call the secrets, as the CSI parameters and the pod's manifest do.
const (
	stageSecret   = "the node-stage secret"
	publishSecret = "the node-publish secret"
)

// parseCredentials reads a request's secret, which messages call whose. Nothing
// of it gets into one.
func parseCredentials(secrets map[string]string, readOnly bool, whose string) (volume.Credentials, error) {
	user, key := secretFields(secrets, readOnly)
	c := volume.Credentials{User: secrets[user], Key: volume.Secret(secrets[key])}
	switch {
	case c.User == "" || c.Key == "":
		return volume.Credentials{}, fmt.Errorf("%s has no %s or no %s: name the tenant's secret in the class "+
			"(csi.storage.k8s.io/node-stage-secret-name): %w", whose, user, key, volume.ErrInvalid)
	case !isUser(c.User):
		return volume.Credentials{}, fmt.Errorf("%s of %s is not a cephx user without «client.» "+
			"(letters, digits, dots, hyphens and underscores): %w", user, whose, volume.ErrInvalid)
	case !isKey(c.Key.Reveal()):
		return volume.Credentials{}, fmt.Errorf("%s of %s is not a cephx key in base64, as `ceph auth print-key` gives it: %w", key, whose, volume.ErrInvalid)
	}
	return c, nil
}

// secretFields are the fields to use: the writer's for a stage that may write,
// where the tenant's nodes have one, else the reader's.
func secretFields(secrets map[string]string, readOnly bool) (user, key string) {
	if !readOnly && secrets[tenant.FieldWriterUser] != "" {
		return tenant.FieldWriterUser, tenant.FieldWriterKey
	}
	return tenant.FieldReaderUser, tenant.FieldReaderKey
}

// isUser keeps out what has a meaning in an option string of the kernel.
func isUser(s string) bool {
	return len(s) <= maxField && !strings.HasPrefix(s, "client.") && strings.TrimLeft(s, userLetters) == ""
}

const userLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

func isKey(s string) bool {
	_, err := base64.StdEncoding.Strict().DecodeString(s)
	return err == nil && len(s) <= maxField && !strings.ContainsAny(s, "\r\n")
}
