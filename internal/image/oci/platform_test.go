package oci

import (
	"errors"
	"strings"
	"testing"

	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestParseArchitecture(t *testing.T) {
	for name, want := range map[string][2]string{
		"amd64": {"amd64", ""}, "arm64": {"arm64", ""}, "arm/v7": {"arm", "v7"}, "arm64/v8": {"arm64", "v8"},
		"linux/arm/v6": {"arm", "v6"}, "amd64/v3": {"amd64", "v3"},
	} {
		architecture, variant, err := ParseArchitecture(name)
		if got := [2]string{architecture, variant}; err != nil || got != want {
			t.Errorf("ParseArchitecture(%q) = %q, %v; want %q", name, got, err, want)
		}
	}
	for name, want := range map[string]string{
		"": "unknown architecture", "linux": "unknown architecture", "aarch64": "images call aarch64 arm64",
		"x86_64": "call x86_64 amd64", "armhf": "arm/v7", "windows/amd64": "unknown architecture",
		"arm/": "not a variant of arm", "arm/7": "not a variant of arm", "arm/v7/x": "not a variant of arm",
	} {
		if _, _, err := ParseArchitecture(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseArchitecture(%q): error %v; want one with %q", name, err, want)
		}
	}
}

func TestCheckPlatform(t *testing.T) {
	arm := func(variant string) imgspec.Platform {
		return imgspec.Platform{OS: "linux", Architecture: "arm", Variant: variant}
	}
	arm7 := Options{Architecture: "arm", Variant: "v7"}
	for _, p := range []imgspec.Platform{arm("v7"), arm("v6"), arm(""), {}} {
		if err := checkPlatform(Reference{}, p, arm7); err != nil {
			t.Errorf("%v: %v", p, err)
		}
	}
	for _, p := range []imgspec.Platform{arm("v8"), {Architecture: "arm64"}, {OS: "windows", Architecture: "arm"}} {
		var other *OtherPlatformError
		if err := checkPlatform(Reference{}, p, arm7); !errors.As(err, &other) || other.Wanted != "linux/arm/v7" || !other.Chosen {
			t.Errorf("%v: error %v; want one of another platform", p, err)
		}
	}
	if err := checkPlatform(Reference{}, arm("v8"), Options{Architecture: "arm"}); err != nil {
		t.Errorf("any variant: %v", err)
	}
}

// TestListOfVariants chooses from a list by variant, or the nearest lower one.
func TestListOfVariants(t *testing.T) {
	variant := func(v string) testImage {
		im := newImage(t, "arm", archives(t)[2:], func(_ *imgspec.Manifest, c *imgspec.Image) { c.Variant = v })
		im.platform.Variant = v
		return im
	}
	six, seven := variant("v6"), variant("v7")
	ref := "oci:" + writeLayout(t, newList(t, six, seven), "v1")
	for v, want := range map[string]testImage{"v6": six, "v7": seven, "v8": seven} {
		opts := options(t)
		opts.Architecture, opts.Variant = "arm", v
		if im := mustOpen(t, ref, opts); im.ManifestDigest != want.digest().String() {
			t.Errorf("arm/%s: manifest %s; want %s", v, im.ManifestDigest, want.digest())
		}
	}
	opts := options(t)
	opts.Architecture, opts.Variant = "arm", "v5"
	if _, err := tryOpen(t, ref, opts); err == nil || !strings.Contains(err.Error(), "is not for linux/arm/v5: it offers linux/arm/v6, linux/arm/v7") {
		t.Errorf("arm/v5: error %v", err)
	}
}
