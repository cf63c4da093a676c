package update

import (
	"archive/tar"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	ocitest "github.com/sysupdate-image/sysupdate-image/internal/testing/oci"
)

// BenchmarkPlan plans an image of 43 thousand files and 50 MB of kernel and initramfs whose
// layers are all here, as a share of applying it.
func BenchmarkPlan(b *testing.B) {
	dir, layout := b.TempDir(), b.TempDir()
	if err := os.Mkdir(dir+"/boot", 0o755); err != nil {
		b.Fatal(err)
	}
	large := largeLayer(b)
	for _, tag := range []string{"1", "2"} {
		img := ocitest.Image{Compression: "none", Layers: [][]byte{large, benchLayer(b, tag)}}
		if err := ocitest.WriteLayout(layout, tag, img); err != nil {
			b.Fatal(err)
		}
	}
	m, err := Open(PlaceOf(b, dir), func(err error) { b.Log(err) })
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	var applied time.Duration
	for _, tag := range []string{"1", "2"} {
		began := time.Now()
		if _, err := m.Apply(b.Context(), Options{Reference: "oci:" + layout + ":" + tag}, silent{}); err != nil {
			b.Fatal(err)
		}
		applied = time.Since(began) // of an image that shares its large layer
	}
	for b.Loop() {
		plan, err := m.Plan(b.Context(), Options{Reference: "oci:" + layout + ":1"}, silent{})
		if err != nil || plan.Changes == nil {
			b.Fatalf("%+v, %v", plan, err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/applied.Seconds(), "of-apply")
}

// largeLayer returns the layer that two images share.
func largeLayer(b *testing.B) []byte {
	b.Helper()
	content := map[string]string{"usr/lib/modules/6.12/vmlinuz": strings.Repeat("kernel", 2<<20), "usr/lib/modules/6.12/initramfs.img": strings.Repeat("initramfs", 4<<20)}
	var headers []tar.Header
	for _, dir := range []string{"boot", "etc", "sysroot", "var", "usr", "usr/lib", "usr/lib/modules", "usr/lib/modules/6.12", "usr/lib/sysupdate-image", "usr/share", "var/lib", "var/lib/dpkg"} {
		headers = append(headers, tar.Header{Name: dir + "/", Typeflag: tar.TypeDir, Mode: 0o755})
	}
	content["usr/lib/sysupdate-image/prepare-root"] = "x"
	for i := range 43_000 {
		if i%200 == 0 {
			headers = append(headers, tar.Header{Name: fmt.Sprintf("usr/share/%d/", i/200), Typeflag: tar.TypeDir, Mode: 0o755})
		}
		content[fmt.Sprintf("usr/share/%d/%d", i/200, i)] = strings.Repeat(fmt.Sprint(i), 30)
	}
	return tarOf(b, headers, content)
}

// benchLayer returns the other one.
func benchLayer(b *testing.B, version string) []byte {
	b.Helper()
	var status strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&status, "Package: p%d\nStatus: install ok installed\nVersion: %s\n%s\n", i, version, strings.Repeat(" a line of text\n", 60))
	}
	return tarOf(b, nil, map[string]string{
		"usr/lib/os-release": "PRETTY_NAME=OS\nIMAGE_VERSION=" + version + "\n", "var/lib/dpkg/status": status.String(),
	})
}

func tarOf(b *testing.B, headers []tar.Header, content map[string]string) []byte {
	b.Helper()
	for name := range content {
		headers = append(headers, tar.Header{Name: name, Mode: 0o644})
	}
	data, err := ocitest.Tar(headers, content)
	if err != nil {
		b.Fatal(err)
	}
	return data
}
