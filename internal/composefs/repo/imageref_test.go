package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
)

func TestImageRefs(t *testing.T) {
	eachKind(t, func(t *testing.T, r *Repository) {
		a, b := putImage(t, r, "a"), putImage(t, r, "b")
		for _, id := range []string{b, a} {
			if err := r.SetImageRef("mine", id); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.SetImageRef("gone", digest.Digest{}.String()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("SetImageRef of no image = %v; want %v", err, fs.ErrNotExist)
		}
		if err := r.SetImageRef("../x", a); err == nil {
			t.Error("SetImageRef took ../x")
		}
		if refs, err := r.ImageRefs(); err != nil || fmt.Sprint(refs) != fmt.Sprint(map[string]string{"mine": a}) {
			t.Errorf("ImageRefs() = %v, %v; want mine", refs, err)
		}
		// composefs-rs has names with slashes; others lead elsewhere.
		dir := filepath.Join(r.dir.Name(), "images/refs/vendor/os")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, target := range map[string]string{"1": "../../../" + a, "odd": "../../../../objects/00/11", "gone": "../../../none"} {
			if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		if refs, err := r.ImageRefs(); err != nil || fmt.Sprint(refs) != fmt.Sprint(map[string]string{"mine": a, "vendor/os/1": a}) {
			t.Errorf("ImageRefs() = %v, %v; want mine and vendor/os/1", refs, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		unlock, err := r.Lock(true)
		if err != nil {
			t.Fatal(err)
		}
		defer unlock()
		roots := Roots{EachObject: func(context.Context, *os.File, func(digest.Digest)) error { return nil }}
		if report, err := r.GC(t.Context(), roots, false); err != nil || len(report.Images) != 1 || report.Images[0] != b {
			t.Errorf("GC = %+v, %v; want %s removed", report, err, b)
		}
		if err := r.RemoveImageRef("mine"); err != nil {
			t.Fatal(err)
		}
		if refs, err := r.ImageRefs(); err != nil || len(refs) != 0 {
			t.Errorf("ImageRefs() = %v, %v; want none", refs, err)
		}
	})
}
