package conformance

import (
	"fmt"
	"sync"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
)

func TestQuota(t *testing.T) {
	onEach(t, func(t *testing.T, s stand) {
		ctx, at := t.Context(), s.acme
		used := func(want tenant.Usage) {
			t.Helper()
			if got, err := s.Used(ctx, at); err != nil || got != want {
				t.Errorf("Used = %+v, %v; want %+v", got, err, want)
			}
		}
		has := func(name string, want bool) {
			t.Helper()
			if got, err := s.HasShare(ctx, at, name); err != nil || got != want {
				t.Errorf("HasShare(%s) = %t, %v; want %t", name, got, err, want)
			}
		}
		used(tenant.Usage{})
		has("vol.a", false)
		must(t, s.Reserve(ctx, at, "vol.a", 5))
		has("vol.a", true)
		has("vol.b", false)
		must(t, s.Reserve(ctx, at, "vol.b", 7))
		used(tenant.Usage{Volumes: 2, Bytes: 12})
		must(t, s.Reserve(ctx, at, "vol.a", 9)) // replaces
		must(t, s.Reserve(ctx, at, "vol.a", 9))
		used(tenant.Usage{Volumes: 2, Bytes: 16})
		must(t, s.Release(ctx, at, "vol.a"))
		must(t, s.Release(ctx, at, "vol.a")) // absent is success
		must(t, s.Release(ctx, s.public, "vol.b"))
		used(tenant.Usage{Volumes: 1, Bytes: 7})
		must(t, s.Reserve(ctx, at, "vol.empty", 0))
		used(tenant.Usage{Volumes: 2, Bytes: 7})
		has("vol.empty", true)
		has("vol.a", false)
		must(t, s.Release(ctx, at, "vol.empty"))
		must(t, s.Release(ctx, at, "vol.b"))
		used(tenant.Usage{})
	})
}

// TestQuotaAtOnce checks that the sum is that of the shares whoever comes
// between whom.
func TestQuotaAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, s stand) {
		ctx, at := t.Context(), s.acme
		var group sync.WaitGroup
		for i := range 60 {
			group.Go(func() {
				name := fmt.Sprint("vol.", i)
				if err := s.Reserve(ctx, at, name, int64(i)); err != nil {
					t.Error(err)
				}
				if i%2 == 0 {
					if err := s.Release(ctx, at, name); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		want := tenant.Usage{Volumes: 30, Bytes: 900}
		if got, err := s.Used(ctx, at); err != nil || got != want {
			t.Errorf("Used = %+v, %v; want %+v", got, err, want)
		}
	})
}
