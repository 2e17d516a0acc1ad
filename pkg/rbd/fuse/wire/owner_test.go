package wire

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func newLog(t *testing.T) *os.File {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return file
}

func TestOwnedIsNotClaimed(t *testing.T) {
	file := newLog(t)
	if err := Own(file); err != nil {
		t.Fatal(err)
	}
	if _, err := Claim(file.Name()); !errors.Is(err, volume.ErrInUse) {
		t.Fatalf("claimed what is owned: %v", err)
	}
}

func TestClaimedIsNotOwned(t *testing.T) {
	file := newLog(t)
	claim, err := Claim(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	if owner, err := Owner(file.Name()); owner != 0 || err != nil {
		t.Errorf("owner %d, %v", owner, err)
	}
	if err := Own(file); !errors.Is(err, volume.ErrInUse) {
		t.Errorf("owned what is claimed: %v", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		t.Fatal(err)
	}
	_ = claim.Close()
	if err := Own(file); !errors.Is(err, volume.ErrUnavailable) {
		t.Errorf("owned what is removed: %v", err)
	}
}

func TestNothingToClaim(t *testing.T) {
	if claim, err := Claim(filepath.Join(t.TempDir(), "none")); claim != nil || err != nil {
		t.Errorf("%v, %v", claim, err)
	}
}
