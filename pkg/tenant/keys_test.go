package tenant_test

import (
	"reflect"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/tenant"
	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

// TestGoldenReaders reads what Fields writes, and leaves other fields alone.
func TestGoldenReaders(t *testing.T) {
	want := map[volume.GoldenRef]volume.Credentials{
		{Tenant: "public", Name: "resnet50", Version: "v1.2_3"}: {User: "sdp.golden.public.resnet50.v1.2_3.1", Key: "a2V5"},
		{Tenant: "public", Name: "bert", Version: "v1"}:         {User: "sdp.golden.public.bert.v1.4", Key: "b3RoZXI="},
	}
	fields := tenant.Keys{Reader: volume.Credentials{User: "sdp.acme.ro.1", Key: "cm8="}, Goldens: want}.Fields()
	for _, foreign := range []string{"golden.", "golden.x", "golden.x.y", "golden.X.y.z", "other"} {
		fields[foreign] = "u:k"
	}
	if got := tenant.GoldenReaders(fields); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := tenant.GoldenReaders(nil); got != nil {
		t.Errorf("got %v of nothing", got)
	}
}
