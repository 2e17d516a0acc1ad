package volume_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sdp-csi/sdp-csi/pkg/volume"
)

func TestParseGoldenRef(t *testing.T) {
	tests := map[string]struct {
		text string
		want volume.GoldenRef // zero: refused
	}{
		"own":                     {text: "resnet50:v1", want: volume.GoldenRef{Name: "resnet50", Version: "v1"}},
		"another tenant's":        {text: "public/resnet50:v1", want: volume.GoldenRef{Tenant: "public", Name: "resnet50", Version: "v1"}},
		"a version with marks":    {text: "m:2026.11_rc-1", want: volume.GoldenRef{Name: "m", Version: "2026.11_rc-1"}},
		"longest":                 {text: strings.Repeat("n", 40) + ":" + strings.Repeat("v", 32), want: volume.GoldenRef{Name: strings.Repeat("n", 40), Version: strings.Repeat("v", 32)}},
		"empty":                   {text: ""},
		"no version":              {text: "resnet50"},
		"empty version":           {text: "resnet50:"},
		"empty name":              {text: ":v1"},
		"empty tenant":            {text: "/resnet50:v1"},
		"two tenants":             {text: "a/b/resnet50:v1"},
		"two versions":            {text: "resnet50:v1:v2"},
		"name too long":           {text: strings.Repeat("n", 41) + ":v1"},
		"version too long":        {text: "m:" + strings.Repeat("v", 33)},
		"tenant too long":         {text: strings.Repeat("t", 33) + "/m:v1"},
		"dot in the name":         {text: "m.x:v1"},
		"capitals":                {text: "ResNet50:v1"},
		"a snapshot":              {text: "m@sealed:v1"},
		"a snapshot of a version": {text: "m:v1@sealed"},
		"dots":                    {text: "..:v1"},
		"dots in the version":     {text: "m:1..2"},
		"dot first":               {text: "m:.1"},
		"dot last":                {text: "m:1."},
		"underscore first":        {text: "m:_1"},
		"underscore last":         {text: "m:1_"},
		"up a tenant":             {text: "../m:v1"},
		"NUL":                     {text: "m\x00:v1"},
		"newline":                 {text: "m:v1\n"},
		"other letters":           {text: "модель:v1"},
		"no UTF-8":                {text: "m:\xff"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := volume.ParseGoldenRef(tc.text)
			if got != tc.want {
				t.Errorf("ParseGoldenRef(%q) = %+v, %v", tc.text, got, err)
			}
			if tc.want == (volume.GoldenRef{}) && !errors.Is(err, volume.ErrInvalid) {
				t.Errorf("error %v, want ErrInvalid", err)
			}
		})
	}
}

func FuzzParseGoldenRef(f *testing.F) {
	for _, seed := range []string{"resnet50:v1", "public/resnet50:v1", "a/b:c.d_e", "../m:v1", "m:v1@sealed", "m\x00:v1", "ж:v1", ":", "/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := volume.ParseGoldenRef(s)
		if err != nil {
			if !errors.Is(err, volume.ErrInvalid) {
				t.Errorf("%q: %v does not wrap ErrInvalid", s, err)
			}
			return
		}
		if ref.String() != s {
			t.Errorf("%q was read as %q", s, ref)
		}
		if image := ref.Image(); strings.ContainsAny(image, "/@:\x00 ") || strings.Contains(image, "..") || len(image) >= 96 {
			t.Errorf("%q gives the image name %q", s, image)
		}
	})
}
