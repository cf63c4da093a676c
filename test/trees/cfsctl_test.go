package trees

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// These tests exchange repositories with composefs-rs: what we write, its program
// cfsctl accepts, and what it writes, we do.

// A pair are the two programs.
type pair struct {
	t            testing.TB
	ours, theirs string
}

// newPair builds our program and finds theirs: $CFSCTL, in the path, or where
// hack/cfsctl puts it.
func newPair(t testing.TB) pair {
	t.Helper()
	need(t)
	p := pair{t: t, ours: filepath.Join(t.TempDir(), "sysupdate-image")}
	for _, name := range []string{os.Getenv("CFSCTL"), "cfsctl", cachedCfsctl(t)} {
		if path, err := exec.LookPath(name); err == nil {
			p.theirs = path
			break
		}
	}
	if p.theirs == "" {
		t.Skip("cfsctl of composefs-rs is not installed: hack/cfsctl builds it, with a cargo of 1.88 or newer")
	}
	run(t, "go", "build", "-trimpath", "-tags", buildTags(t), "-o", p.ours, "../../cmd/sysupdate-image")
	return p
}

func cachedCfsctl(t testing.TB) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(cache, "sysupdate-image/cfsctl-*/bin/cfsctl"))
	if err != nil || len(found) == 0 {
		return ""
	}
	return slices.Max(found)
}

// buildTags returns those of the Makefile.
func buildTags(t testing.TB) string {
	t.Helper()
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	tags := regexp.MustCompile(`(?m)^TAGS +:= *(.*)$`).FindSubmatch(makefile)
	if tags == nil {
		t.Fatal("the Makefile has no TAGS")
	}
	return string(tags[1])
}

// our runs our program, their theirs; both return what it prints.
func (p pair) our(args ...string) string {
	p.t.Helper()
	return strings.TrimSpace(run(p.t, p.ours, args...))
}

func (p pair) their(args ...string) string {
	p.t.Helper()
	return strings.TrimSpace(run(p.t, p.theirs, args...))
}

// same fails the test unless both programs print the same, and returns that.
func (p pair) same(our, their []string) string {
	p.t.Helper()
	a, b := p.our(our...), p.their(their...)
	if a != b {
		p.t.Errorf("%q prints\n%.2000s\n%q prints\n%.2000s", our, a, their, b)
	}
	return a
}

// contains fails the test unless text has all parts.
func (p pair) contains(text string, parts ...string) {
	p.t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			p.t.Errorf("want %q in\n%s", part, text)
		}
	}
}

// fsck has both programs check a repository.
func (p pair) fsck(repo string) {
	p.t.Helper()
	p.our("repo", "fsck", "--repo", repo)
	p.contains(p.their("--repo", repo, "fsck"), "status: ok")
	p.contains(p.their("--repo", repo, "oci", "fsck"), "status: ok")
}

// machine returns a directory to apply images to, with a boot partition.
func machine(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "boot/EFI"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// entries returns the names in a directory of a repository.
func entries(t testing.TB, dir, prefix string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		if strings.HasPrefix(e.Name(), prefix) && e.Name() != "refs" {
			names = append(names, e.Name())
		}
	}
	return names
}

// TestOursByTheirs: cfsctl reads a repository of a machine that an image was
// applied to.
func TestOursByTheirs(t *testing.T) {
	t.Parallel()
	need(t)
	ns.Run(t, func(t *testing.T) {
		p := newPair(t)
		dir := machine(t)
		image := "oci:" + layout(t, "v2") + ":v2"
		p.our("--sysroot", dir, "apply", image)
		repo := filepath.Join(dir, "composefs")
		p.fsck(repo)
		p.contains(p.their("--repo", repo, "gc", "--dry-run"), "Objects: 0 removed")

		manifest := entries(t, filepath.Join(repo, "streams"), "oci-manifest-")[0]
		tag := "localhost/bootc-" + strings.TrimPrefix(manifest, "oci-manifest-")
		p.contains(p.their("--repo", repo, "oci", "images"), tag)
		id := p.same([]string{"image", "digest", "--boot", image}, []string{"--repo", repo, "oci", "compute-id", "--bootable", tag})
		if got := entries(t, filepath.Join(dir, "state/deploy"), ""); !slices.Equal(got, []string{id}) {
			t.Errorf("deployments are %q; want %s", got, id)
		}
		p.same([]string{"image", "digest", image}, []string{"--repo", repo, "oci", "compute-id", tag})
		p.same([]string{"image", "digest", "--user-xattrs", image}, []string{"--repo", repo, "oci", "compute-id", "--xattrs", "keep-user-xattrs", tag})
		p.same([]string{"image", "digest", "--boot", "--format-version", "2", image},
			[]string{"--repo", repo, "--erofs-version", "2", "oci", "compute-id", "--bootable", tag})
		p.same([]string{"image", "dump", image}, []string{"--repo", repo, "oci", "dump", tag})
		p.layersRead(repo)

		ours, theirs := ns.Dir(t), ns.Dir(t)
		p.our("--sysroot", dir, "image", "mount", id, ours)
		p.their("--repo", repo, "mount", id, theirs)
		sameFiles(t, theirs, ours)

		p.their("--repo", repo, "gc")
		p.contains(p.our("--sysroot", dir, "repo", "gc"), "Removed 0 objects")
		p.fsck(repo)
		p.contains(p.our("--sysroot", dir, "status"), "Debian")
	})
}

// layersRead has cfsctl write down each layer: it is the archive that it was made of.
func (p pair) layersRead(repo string) {
	p.t.Helper()
	layers := entries(p.t, filepath.Join(repo, "streams"), "oci-layer-")
	if len(layers) < 3 {
		p.t.Errorf("there are layers %q; want several", layers)
	}
	for _, layer := range layers {
		sum := sha256.Sum256([]byte(run(p.t, p.theirs, "--repo", repo, "cat", layer)))
		if want := strings.TrimPrefix(layer, "oci-layer-sha256:"); hex.EncodeToString(sum[:]) != want {
			p.t.Errorf("%s reads as an archive with the digest %x", layer, sum)
		}
	}
}

// TestTheirsByUs: what cfsctl has pulled is checked, listed, repaired, deployed
// and removed by us.
func TestTheirsByUs(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	image := "oci:" + layout(t, "v2") + ":v2"
	for _, kind := range []struct{ algorithm, version string }{{"sha512", "1"}, {"sha256", "2"}} {
		t.Run(kind.algorithm+"-V"+kind.version, func(t *testing.T) {
			p.t = t
			dir := machine(t)
			repo := filepath.Join(dir, "composefs")
			p.their("init", "--insecure", "--algorithm", "fsverity-"+kind.algorithm+"-12", "--erofs-version", kind.version, repo)
			p.their("--repo", repo, "oci", "pull", "--bootable", image, "example:1")
			p.fsck(repo)
			id := p.our("image", "digest", "--boot", "--algorithm", kind.algorithm, "--format-version", kind.version, image)
			p.contains(p.our("repo", "images", "--json", "--repo", repo), id, "example:1")
			p.same([]string{"image", "digest", "--repo", repo, id[:12]}, []string{"--repo", repo, "oci", "compute-id", "--bootable", "example:1"})
			p.contains(p.our("image", "digest", "--expect", id, "--boot", image), "V"+kind.version)

			// An image that has gone is built again from their layers.
			if err := os.Remove(filepath.Join(repo, "objects", id[:2], id[2:])); err != nil {
				t.Fatal(err)
			}
			p.contains(p.our("repo", "fsck", "--repair", "--repo", repo), "(repaired)")
			p.fsck(repo)

			// Nothing is fetched that they have, and both can go on with it.
			cmd := exec.Command(p.ours, "--sysroot", dir, "apply", image)
			if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "Fetching") || !strings.Contains(string(out), id) {
				t.Errorf("apply: %v\n%s", err, out)
			}
			p.fsck(repo)
			p.their("--repo", repo, "oci", "untag", "example:1")
			p.our("--sysroot", dir, "repo", "gc")
			p.fsck(repo)
			p.contains(p.their("--repo", repo, "gc", "--dry-run"), "Objects: 0 removed")
		})
	}
}

// TestSameIDs: of directories, with SELinux labels and all kinds of files, both
// compute the same images.
func TestSameIDs(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	from := layout(t, "selinux")
	root := unpacked(t, from, "selinux")
	addOddFiles(t, filepath.Join(root, "usr/lib/odd"))
	for i, name := range []string{"usr", "boot", "sysroot", "run", "etc"} {
		when := time.Unix(1_700_000_000, int64(i+1)*111_111_111)
		if err := os.Chtimes(filepath.Join(root, name), when, when); err != nil {
			t.Fatal(err)
		}
	}
	for _, version := range []string{"1", "2"} {
		for _, algorithm := range []string{"sha256", "sha512"} {
			for _, form := range []struct{ ours, theirs []string }{
				{nil, nil},
				{[]string{"--boot"}, []string{"--bootable"}},
				{[]string{"--boot", "--user-xattrs"}, []string{"--bootable", "--xattrs", "keep-user-xattrs"}},
			} {
				ours := append([]string{"image", "digest", "--format-version", version, "--algorithm", algorithm, root}, form.ours...)
				theirs := append([]string{"--no-repo", "--hash", algorithm, "--erofs-version", version, "compute-id", root}, form.theirs...)
				t.Logf("V%s, %s, %q: %s", version, algorithm, form.theirs, p.same(ours, theirs))
			}
		}
	}
	dump := p.same([]string{"image", "dump", "--boot", root}, []string{"--no-repo", "create-dumpfile", "--bootable", root})
	p.contains(dump, "security.selinux=system_u:object_r:shadow_t:s0")

	// The same of the layers.
	repo := filepath.Join(t.TempDir(), "repo")
	p.their("init", "--insecure", repo)
	p.their("--repo", repo, "oci", "pull", "oci:"+from+":selinux", "selinux")
	p.same([]string{"image", "digest", "--boot", "oci:" + from + ":selinux"},
		[]string{"--repo", repo, "oci", "compute-id", "--bootable", "selinux"})

	// The same into a repository that they have made.
	for _, version := range []string{"0", "1", "2"} {
		made := filepath.Join(t.TempDir(), "made")
		p.their("init", "--insecure", "--erofs-version", version, made)
		id := p.our("image", "build", "--boot", "--rootfs", root, "--repo", made, "--name", "ours")
		p.contains(p.their("--repo", made, "images"), "ours", id[:12])
		p.contains(p.their("--repo", made, "create-image", "--bootable", root), id)
		p.fsck(made)
	}

	// And what they put into a repository.
	id := strings.TrimPrefix(p.their("--repo", repo, "create-image", "--bootable", root, "vendor/odd"), "sha512:")
	if got := p.our("image", "digest", "--boot", root); got != id {
		t.Errorf("image digest = %s; create-image gives %s", got, id)
	}
	p.contains(p.our("repo", "images", "--repo", repo), "vendor/odd")
	p.contains(p.our("repo", "gc", "--repo", repo), "Removed")
	p.fsck(repo)
	p.contains(p.our("repo", "images", "--repo", repo), "vendor/odd")
}

// TestMismatch: where a digest is another, the commands that the error shows do
// show the difference.
func TestMismatch(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	root := filepath.Join(t.TempDir(), "root")
	for _, dir := range []string{"usr/lib", "boot", "sysroot", "etc"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(root, "usr/lib/file")
	if err := os.WriteFile(file, []byte("as it was sealed"), 0o644); err != nil {
		t.Fatal(err)
	}
	id := p.their("--no-repo", "compute-id", "--bootable", root)
	sealed := filepath.Join(t.TempDir(), "sealed")
	run(t, "cp", "-a", root, sealed)
	if err := os.WriteFile(file, []byte("as it is here"), 0o644); err != nil {
		t.Fatal(err)
	}

	out, err := exec.Command(p.ours, "image", "digest", "--boot", "--expect", id, root).CombinedOutput()
	if err == nil {
		t.Fatalf("image digest --expect gives no error:\n%s", out)
	}
	commands := regexp.MustCompile(`(?m)^  ((?:cfsctl|sysupdate-image) .*)$`).FindAllStringSubmatch(string(out), -1)
	if len(commands) != 2 {
		t.Fatalf("the error has not two commands:\n%s", out)
	}
	theirs := filepath.Join(t.TempDir(), "theirs")
	names := strings.NewReplacer("ROOT", sealed, "THEIRS", theirs, "cfsctl ", p.theirs+" ", "sysupdate-image ", p.ours+" ")
	run(t, "sh", "-c", names.Replace(commands[0][1]))
	diff := run(t, "sh", "-c", names.Replace(commands[1][1]))
	p.contains(diff, "~ /usr/lib/file", "content 16 bytes -> 13 bytes", " 1 changed")
}
