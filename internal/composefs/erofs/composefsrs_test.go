package erofs

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

// composefsRS returns a path by which cfsctl, the program of composefs-rs, is its
// mkcomposefs. $CFSCTL names it, or it is in the path, or hack/cfsctl has built it.
func composefsRS(t *testing.T) string {
	t.Helper()
	names := []string{os.Getenv("CFSCTL"), "cfsctl"}
	if cache, err := os.UserCacheDir(); err == nil {
		built, err := filepath.Glob(filepath.Join(cache, "sysupdate-image/cfsctl-*/bin/cfsctl"))
		if err == nil && len(built) > 0 {
			names = append(names, slices.Max(built))
		}
	}
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		program := filepath.Join(t.TempDir(), "mkcomposefs")
		if err := os.Symlink(path, program); err != nil {
			t.Fatal(err)
		}
		return program
	}
	t.Skip("cfsctl of composefs-rs is not installed: hack/cfsctl builds it, with a cargo of 1.88 or newer")
	return ""
}

// TestRandomTreesRS compares the digests of the images of random trees with those
// that composefs-rs computes.
func TestRandomTreesRS(t *testing.T) {
	program := composefsRS(t)
	seed := newSeed(t)
	file := filepath.Join(t.TempDir(), "dump")
	for i := range randomTrees() {
		g := generator{Rand: rand.New(rand.NewPCG(seed, uint64(i))), common: true}
		tree := g.tree()
		if err := os.WriteFile(file, []byte(dump(t, tree)), 0o600); err != nil {
			t.Fatal(err)
		}
		for version, limit := range map[int]string{V0: "--max-version=0", V1: "--min-version=1"} {
			out, err := exec.Command(program, "--print-digest-only", limit, "--from-file", file).CombinedOutput()
			if err != nil {
				t.Fatalf("tree %d: mkcomposefs %s: %v\n%s", i, limit, err, out)
			}
			got, err := Digest(t.Context(), tree, Options{Version: version, Algorithm: digest.SHA256, Dialect: ComposefsRS})
			if want := strings.TrimSpace(string(out)); err != nil || got.String() != want {
				name := filepath.Join(os.TempDir(), fmt.Sprintf("tree-rs-%d-%d.dump", seed, i))
				if err := os.WriteFile(name, []byte(dump(t, tree)), 0o644); err != nil {
					t.Error(err)
				}
				t.Fatalf("tree %d, version %d: digest %v, %v; composefs-rs has %s; the tree is in %s", i, version, got, err, want, name)
			}
		}
	}
}
