package status

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/repo"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine"
)

// makeTen makes a machine with ten deployments, and returns the names of all its small files.
func makeTen(b *testing.B) (dir string, files []string) {
	b.Helper()
	dir = b.TempDir()
	r, err := repo.Init(filepath.Join(dir, "composefs"), repo.Options{Insecure: true})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	put := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
		files = append(files, path)
	}
	for n := range 10 {
		id := deployment.ID(fmt.Sprintf("%02d", n) + strings.Repeat("0", 126))
		put(id.OriginFile(), string(deployment.Origin{Reference: deployment.ReferenceFor("docker://registry.example.org/os:1"),
			ManifestDigest: fmt.Sprintf("sha256:%064d", n), Version: fmt.Sprint(n), Created: "2026-11-01T10:20:30Z", Kernel: "6.12"}.Encode()))
		put("composefs/images/"+string(id), "")
		put(fmt.Sprintf("boot/sysupdate-image/%d/vmlinuz", n), "kernel")
		put(fmt.Sprintf("boot/loader/entries/sysupdate-image-%06d-a.conf", n),
			fmt.Sprintf("title OS (%d)\nsort-key sysupdate-image\nlinux /sysupdate-image/%d/vmlinuz\noptions quiet composefs=%s\n", n, n, id))
	}
	return dir, files
}

// BenchmarkStatus measures the status of a machine with ten deployments, as JSON. The peer does
// nothing but read the files that it is made of.
func BenchmarkStatus(b *testing.B) {
	dir, files := makeTen(b)
	var reading time.Duration
	for b.Loop() {
		s, err := Of(machine.Place{Dir: dir})
		if err != nil || len(s.Deployments) != 10 {
			b.Fatalf("%d deployments, %v; want 10", len(s.Deployments), err)
		}
		if _, err := json.Marshal(s.JSON()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		begun := time.Now()
		for _, name := range files {
			if _, err := os.ReadFile(name); err != nil {
				b.Fatal(err)
			}
		}
		reading += time.Since(begun)
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed())/float64(reading), "x-reading-its-files")
}
