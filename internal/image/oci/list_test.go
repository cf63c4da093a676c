package oci

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	imgspec "github.com/opencontainers/image-spec/specs-go/v1"
)

// variantOf returns an image for a variant of amd64, and of no other content than that of
// the others.
func variantOf(t *testing.T, variant string) testImage {
	im := newImage(t, "amd64", archives(t)[2:], func(_ *imgspec.Manifest, c *imgspec.Image) {
		c.Variant = variant
		c.Author = variant
	})
	im.platform.Variant = variant
	return im
}

// TestVariantsOfAMD64: a machine takes the best that its processor runs, and another one
// what it is said to be.
func TestVariantsOfAMD64(t *testing.T) {
	images := map[string]testImage{}
	var all []testImage
	for _, v := range []string{"v2", "v1", "v4", "v3"} {
		images[v] = variantOf(t, v)
		all = append(all, images[v])
	}
	ref := "oci:" + writeLayout(t, newList(t, all...), "1")
	wants := map[Options]string{
		{Architecture: "amd64"}:                "v1",
		{Architecture: "amd64", Variant: "v3"}: "v3",
		{Architecture: "amd64", Variant: "v1"}: "v1",
	}
	if level := amd64Level(); level != "" {
		wants[Options{}] = level
	}
	for o, want := range wants {
		opts := options(t)
		opts.Architecture, opts.Variant = o.Architecture, o.Variant
		if im := mustOpen(t, ref, opts); im.ManifestDigest != images[want].digest().String() {
			t.Errorf("%+v: took %s; want %s", o, im.Config.Variant, want)
		}
	}
	opts := options(t)
	opts.Architecture, opts.Variant = "amd64", "v2"
	for _, ref := range []string{"oci:" + writeLayout(t, newList(t, images["v3"]), "1"), "oci:" + writeLayout(t, images["v3"], "1")} {
		if _, err := tryOpen(t, ref, opts); err == nil || !strings.Contains(err.Error(), "is not for linux/amd64/v2: it ") || !strings.Contains(err.Error(), "linux/amd64/v3") {
			t.Errorf("v3 for v2: error %v", err)
		}
	}
}

func TestLevels(t *testing.T) {
	for _, tt := range []struct{ architecture, variant, want string }{
		{"amd64", "", " v1 v2 v3 v4"}, {"amd64", "v2", "v2 v1 "}, {"amd64", "v4", "v4 v3 v2 v1 "}, {"amd64", "v9", "v9 "},
	} {
		if got := strings.Join(variantsOfAMD64(tt.architecture, tt.variant), " "); got != tt.want {
			t.Errorf("variantsOfAMD64(%q, %q) = %q; want %q", tt.architecture, tt.variant, got, tt.want)
		}
	}
	if got := variantsOfAMD64("", ""); !slices.Contains(got, "") || !slices.Contains(got, "v1") && amd64Level() != "" {
		t.Errorf("this machine runs %q; want also what is for any", got)
	}
}

// listOf returns a list of lists.
func listOf(t *testing.T, lists ...testImage) testImage {
	t.Helper()
	outer := newList(t, lists...)
	var index imgspec.Index
	if err := json.Unmarshal(outer.manifest, &index); err != nil {
		t.Fatal(err)
	}
	for i := range index.Manifests {
		index.Manifests[i].MediaType, index.Manifests[i].Platform = imgspec.MediaTypeImageIndex, nil
	}
	outer.manifest = encode(t, index)
	outer.blobs[outer.digest()] = outer.manifest
	return outer
}

// TestListInList: the image is found in whatever list it is, to some depth.
func TestListInList(t *testing.T) {
	arm, amd := newImage(t, "arm64", archives(t), nil), newImage(t, "amd64", archives(t), nil)
	list := listOf(t, newList(t, arm), newList(t, amd))
	for depth := 2; depth < 5; depth++ {
		opts := options(t)
		opts.Architecture = "amd64"
		im, err := tryOpen(t, "oci:"+writeLayout(t, list, "1"), opts)
		if depth <= maxNested {
			if err != nil || im.ManifestDigest != amd.digest().String() {
				t.Errorf("%d lists: %v; want the image for amd64", depth, err)
			}
			opts.Architecture = "s390x"
			if _, err := tryOpen(t, "oci:"+writeLayout(t, list, "1"), opts); err == nil || !strings.Contains(err.Error(), "it offers linux/arm64, linux/amd64") {
				t.Errorf("%d lists, another architecture: error %v", depth, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), "too many lists") {
			t.Errorf("%d lists: error %v; want one that says so", depth, err)
		}
		list = listOf(t, list)
	}
	many := make([]testImage, maxLists+1)
	for i := range many {
		many[i] = newList(t, variantOf(t, "v9"), newImage(t, "arm64", archives(t)[2:], func(_ *imgspec.Manifest, c *imgspec.Image) { c.Author = string(rune('a' + i)) }))
	}
	if _, err := tryOpen(t, "oci:"+writeLayout(t, listOf(t, many...), "1"), options(t)); err == nil || !strings.Contains(err.Error(), "too many lists") {
		t.Errorf("%d lists in one: error %v", len(many), err)
	}
}

// TestMediaTypes: what a registry calls a manifest does not matter if that says itself
// what it is, and what is none is said to be what it is.
func TestMediaTypes(t *testing.T) {
	im := newImage(t, "amd64", archives(t), nil)
	r := newRegistry(t)
	ref := r.push(t, im, "os", "1")
	body, mediaType := im.manifest, ""
	r.answer(func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.Contains(req.URL.Path, "/manifests/") {
			return false
		}
		w.Header().Set("Content-Type", mediaType)
		w.Write(body)
		return true
	})
	bare := strings.Replace(string(im.manifest), `"mediaType":"`+imgspec.MediaTypeImageManifest+`",`, "", 1)
	for _, tt := range []struct{ body, mediaType, want string }{
		{string(im.manifest), "text/plain; charset=utf-8", ""},
		{string(im.manifest), "application/octet-stream", ""},
		{string(im.manifest), imgspec.MediaTypeImageIndex, ""},
		{bare, imgspec.MediaTypeImageManifest, ""},
		{bare, "text/plain", ""},
		{"<html><body>Please log in</body></html>", "text/html", `not a manifest: its type is "text/html`},
		{"<html><body>Please log in</body></html>", imgspec.MediaTypeImageManifest, `begins with "<html><body>Please log in`},
		{`{"schemaVersion":1,"name":"os"}`, "application/vnd.docker.distribution.manifest.v1+json", "schema 1 of Docker"},
		{`{"schemaVersion":2,"mediaType":"application/vnd.example+json"}`, "application/json", `unknown media type "application/vnd.example+json"`},
		{`{"errors":[]}`, "application/json", `not a manifest: its type is "application/json" and it begins with "{\"errors`},
	} {
		body, mediaType = []byte(tt.body), tt.mediaType
		opts := options(t)
		opts.Architecture = "amd64"
		_, err := tryOpen(t, ref, opts)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), r.host())) {
			t.Errorf("%.60s as %s: error %v; want %q", tt.body, tt.mediaType, err, tt.want)
		}
	}
}
