package update_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/canonical"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/erofs"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/uki/ukitest"
	"github.com/sysupdate-image/sysupdate-image/internal/image/layer"
	"github.com/sysupdate-image/sysupdate-image/internal/image/rootconfig"
	ocitest "github.com/sysupdate-image/sysupdate-image/internal/testing/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// withXattr is a file of which the digest depends on whether user.* attributes
// count.
var withXattr = tar.Header{
	Name: "usr/attributed", Typeflag: tar.TypeReg, Mode: 0o644,
	PAXRecords: map[string]string{"SCHILY.xattr.user.test": "value"},
}

// sealedDigest returns what an image of one layer is sealed for.
func sealedDigest(t *testing.T, archive []byte, v canonical.Variant, alg digest.Algorithm) string {
	t.Helper()
	return digestOf(t, new(layer.Merger), archive, v, alg)
}

// digestOf is sealedDigest for layers that are merged in another way.
func digestOf(t *testing.T, m *layer.Merger, archive []byte, v canonical.Variant, alg digest.Algorithm) string {
	t.Helper()
	if err := m.Measure(t.Context(), bytes.NewReader(archive), alg, nil); err != nil {
		t.Fatal(err)
	}
	content := func(n *tree.Node) ([]byte, error) { return n.Inline, nil }
	root, err := canonical.Tree(t.Context(), m.Root, content, canonical.Form{Boot: true, UserXattrs: v.UserXattrs})
	if err != nil {
		t.Fatal(err)
	}
	d, err := erofs.Digest(t.Context(), root, erofs.Options{Version: v.Version, Algorithm: alg})
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// sealed writes an OCI layout with an image whose unified kernel image has a
// command line, and returns its reference.
func sealed(t *testing.T, system []byte, cmdline string) string {
	t.Helper()
	return sealedWith(t, system, ukitest.UKI(cmdline))
}

// sealedWith is sealed with a unified kernel image.
func sealedWith(t *testing.T, system, uki []byte) string {
	t.Helper()
	const name = "boot/EFI/Linux/os.efi"
	seal, err := ocitest.Tar([]tar.Header{
		{Name: "boot/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "boot/EFI/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "boot/EFI/Linux/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: name, Mode: 0o644},
	}, map[string]string{name: string(uki)})
	if err != nil {
		t.Fatal(err)
	}
	layout := t.TempDir()
	if err := ocitest.WriteLayout(layout, "1", ocitest.Image{Layers: [][]byte{system, seal}}); err != nil {
		t.Fatal(err)
	}
	return "oci:" + layout + ":1"
}

// TestSealed applies images that were sealed in every way there is. The kernel
// in /usr/lib/modules, which is there as well, is not the one that boots.
func TestSealed(t *testing.T) {
	system := archive(t, "", withXattr)
	seen := make(map[string]bool)
	for _, v := range canonical.Variants {
		want := sealedDigest(t, system, v, digest.SHA512)
		if seen[want] {
			t.Fatalf("%s: digest %s is that of another way", v, want)
		}
		seen[want] = true
		for name, cmdline := range map[string]string{
			"composefs":        "quiet composefs=?" + want,
			"composefs.digest": "composefs.digest=?v1-fsverity-sha512-12:" + want,
			"second of two":    "composefs.digest=?v2-fsverity-sha512-12:" + strings.Repeat("0", 128) + " composefs.digest=?v1-fsverity-sha512-12:" + want,
			"one of another algorithm first": "composefs.digest=?v1-fsverity-sha256-12:" + strings.Repeat("0", 64) +
				" composefs.digest=?v1-fsverity-sha512-12:" + want,
		} {
			result, err := apply(t.Context(), t.TempDir(), sealed(t, system, cmdline))
			if err != nil || string(result.ID) != want {
				t.Errorf("%s, %s: applied %s, %v; want %s", v, name, result.ID, err, want)
			}
		}
	}
}

func TestSealedIsRefused(t *testing.T) {
	system := archive(t, "", withXattr)
	v1 := canonical.Variants[0]
	other := strings.Repeat("0", 128)
	tests := map[string]struct {
		cmdline string
		want    []string
	}{
		"another": {"composefs=?" + other, append([]string{
			"expected  " + other, "os.efi is sealed for composefs=?000", "has another digest",
			"V1 with user.* attributes", "V2 with user.* attributes",
		}, sealedDigest(t, system, v1, digest.SHA512), sealedDigest(t, system, canonical.Variants[1], digest.SHA512))},
		"sha256":    {"composefs=?" + sealedDigest(t, system, v1, digest.SHA256), []string{"sha256 digest", "has sha512"}},
		"nothing":   {"quiet", []string{"is not sealed"}},
		"no digest": {"composefs=abc", []string{"composefs=abc"}},
	}
	for name, tt := range tests {
		_, err := apply(t.Context(), t.TempDir(), sealed(t, system, tt.cmdline))
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v; want one with %q", name, err, want)
			}
		}
	}
}

// TestSealedInOrder: an image that composefs-rs has sealed, with a whiteout after the file
// of the same layer that it removes there, boots as it is sealed, and that is said.
func TestSealedInOrder(t *testing.T) {
	system := archive(t, "", withXattr, tar.Header{Name: "usr/.wh.attributed", Typeflag: tar.TypeReg})
	for _, v := range canonical.Variants[:2] {
		proper := digestOf(t, new(layer.Merger), system, v, digest.SHA512)
		inOrder := digestOf(t, &layer.Merger{InOrder: true}, system, v, digest.SHA512)
		if proper == inOrder {
			t.Fatal("both ways make the same tree")
		}
		for want, warned := range map[string]bool{proper: false, inOrder: true} {
			var warnings []string
			m, err := update.Open(update.PlaceOf(t, t.TempDir()), func(err error) { warnings = append(warnings, err.Error()) })
			if err != nil {
				t.Fatal(err)
			}
			result, err := m.Apply(t.Context(), update.Options{Reference: sealed(t, system, "composefs=?"+want)}, quiet{})
			if err := errors.Join(err, m.Close()); err != nil || string(result.ID) != want {
				t.Errorf("%s: applied %s, %v; want %s", v, result.ID, err, want)
			}
			if got := strings.Contains(strings.Join(warnings, "\n"), "because of usr/.wh.attributed"); got != warned {
				t.Errorf("%s, in order %v: warnings are %q", v, warned, warnings)
			}
		}
	}
}

// TestSealedDemandsVerity has an image that does not boot where there is no
// fs-verity.
func TestSealedDemandsVerity(t *testing.T) {
	system := archive(t, "")
	dir := t.TempDir()
	want := sealedDigest(t, system, canonical.Variants[0], digest.SHA512)
	result, err := apply(t.Context(), dir, sealed(t, system, "composefs="+want))
	if err == nil && string(result.ID) == want {
		t.Skip("the file system of temporary directories has fs-verity")
	}
	if err == nil || !strings.Contains(err.Error(), "requires fs-verity") {
		t.Errorf("error %v; want one that speaks of fs-verity", err)
	}
}

// TestInitramfsDecides has images without our program whose initramfs has it, and
// says how /etc is mounted.
func TestInitramfsDecides(t *testing.T) {
	system := archive(t, "")
	cmdline := "composefs=?" + sealedDigest(t, system, canonical.Variants[0], digest.SHA512)
	for initramfs, copied := range map[string]bool{
		string(ukitest.Cpio("usr/lib/bootc/initramfs-setup", "")):                                                   true,
		string(ukitest.Cpio(rootconfig.Program, "", "usr/bin/other", "")):                                           false,
		string(ukitest.Cpio(rootconfig.Program, "", rootconfig.File, "[etc]\nmount = 'bind'")):                      true,
		string(ukitest.Cpio("usr/lib/bootc/initramfs-setup", "", rootconfig.BootcFile, "[etc]\nmount = 'overlay'")): false,
		"nobody can read this": true,
	} {
		dir := t.TempDir()
		result, err := apply(t.Context(), dir, sealedWith(t, system, ukitest.UKIWith(cmdline, initramfs)))
		if err != nil {
			t.Fatal(err)
		}
		_, err = os.Stat(filepath.Join(dir, result.ID.EtcDir(), "hostname"))
		if got := err == nil; got != copied {
			t.Errorf("with the initramfs %q, /etc was copied: %v; want %v", initramfs, got, copied)
		}
	}
}

// TestInitramfsWithoutProgram has one that would not mount any root, which is not taken
// for bootc's.
func TestInitramfsWithoutProgram(t *testing.T) {
	system := archive(t, "")
	cmdline := "composefs=?" + sealedDigest(t, system, canonical.Variants[0], digest.SHA512)
	for _, initramfs := range [][]byte{ukitest.Cpio("usr/bin/other", ""), ukitest.Cpio(rootconfig.BootcFile, "[etc]\nmount = 'overlay'")} {
		_, err := apply(t.Context(), t.TempDir(), sealedWith(t, system, ukitest.UKIWith(cmdline, string(initramfs))))
		if err == nil || !strings.Contains(err.Error(), "image cannot boot: its initramfs has no program that mounts the root: want /usr/lib/sysupdate-image/prepare-root") {
			t.Errorf("error %v; want one that names the program", err)
		}
	}
}

// TestOtherKernel gives the booted deployment another kernel, which is no part of
// its id, and then the one it had.
func TestOtherKernel(t *testing.T) {
	system := archive(t, "")
	dir := t.TempDir()
	plain := "oci:" + t.TempDir() + ":1"
	if err := ocitest.WriteLayout(strings.Split(plain, ":")[1], "1", ocitest.Image{Layers: [][]byte{system}}); err != nil {
		t.Fatal(err)
	}
	booted, err := apply(t.Context(), dir, plain)
	if err != nil {
		t.Fatal(err)
	}
	cmdline := "composefs=?" + string(booted.ID)
	for _, step := range []struct {
		reference string
		want      update.Outcome
		first     string // a pattern for the line that says what boots next
	}{
		{sealed(t, system, cmdline), update.Published, "linux /sysupdate-image/.*efi"},
		{sealed(t, system, cmdline+" quiet"), update.Published, "linux /sysupdate-image/.*efi"},
		{sealed(t, system, cmdline+" quiet"), update.AlreadyBooted, "linux /sysupdate-image/.*efi"},
		{plain, update.Published, "linux /.*vmlinuz"},
		{sealed(t, system, cmdline), update.Published, "linux /sysupdate-image/.*efi"},
	} {
		warned := ""
		m, err := update.Open(update.PlaceOf(t, dir), func(err error) { warned += err.Error() })
		if err != nil {
			t.Fatal(err)
		}
		m.RunAs(booted.ID, fstest.MapFS{})
		result, err := m.Apply(t.Context(), update.Options{Reference: step.reference}, quiet{})
		if err := errors.Join(err, m.Close()); err != nil || result.Outcome != step.want || result.ID != booted.ID {
			t.Fatalf("applied as %s: %s, %v; want %s", result.ID, result.Outcome, err, step.want)
		}
		if strings.Contains(warned, "the deployed image is sealed") != (step.reference == plain) {
			t.Errorf("applied %s: warned %q", step.reference, warned)
		}
		names, err := filepath.Glob(filepath.Join(dir, "boot/loader/entries/*.conf"))
		if err != nil || len(names) == 0 {
			t.Fatalf("there are entries %q, %v", names, err)
		}
		text, err := os.ReadFile(names[len(names)-1]) // all have serial numbers
		if err != nil || !regexp.MustCompile(`(?m)^`+step.first+"$").Match(text) {
			t.Errorf("what boots next is %q, %v; want %q", text, err, step.first)
		}
	}
}
