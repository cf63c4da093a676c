package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// vectors are dumps, and the digests of the images that other programs make of
// them; see the README there.
const vectors = "../../internal/composefs/erofs/testdata/"

// TestVectors has image build print the digest of every vector.
func TestVectors(t *testing.T) {
	for table, columns := range map[string]map[string]int{
		"sha256": {"0": 2, "1": 3, "auto": 4, "2": 5},
		"sha512": {"1": 1, "2": 2},
	} {
		data, err := os.ReadFile(vectors + "vectors-" + table + ".tsv")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			fields := strings.Fields(line)
			if strings.HasPrefix(line, "#") {
				continue
			}
			for version, column := range columns {
				args := []string{"image", "build", "--from-dump", vectors + fields[0], "--format-version", version, "--algorithm", table, "--digest-only"}
				var out, stderr bytes.Buffer
				if code := run(t.Context(), host(), args, &out, &stderr); code != exitOK || out.String() != fields[column]+"\n" {
					t.Errorf("%s prints %q, %q, exit code %d; want %s", strings.Join(args, " "), &out, &stderr, code, fields[column])
				}
			}
		}
	}
}
