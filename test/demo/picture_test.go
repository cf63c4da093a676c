package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/test/disks"
)

// TestPicture wants the picture in the README to have what a demo has shown: the demo
// itself compares that with what status says.
func TestPicture(t *testing.T) {
	repository, err := disks.Repository()
	if err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(filepath.Join(repository, screensFile))
	if err != nil {
		t.Fatal(err)
	}
	screens, err := parse(string(kept))
	if err != nil {
		t.Fatal(err)
	}
	if got := text(screens); got != string(kept) {
		t.Errorf("the screens are read as\n%s\nwant\n%s", got, kept)
	}
	picture, err := os.ReadFile(filepath.Join(repository, pictureFile))
	if err != nil {
		t.Fatal(err)
	}
	if string(picture) != string(svg(screens)) {
		t.Errorf("%s is not the picture of %s; UPDATE=1 make demo writes both", pictureFile, screensFile)
	}
	readme, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "]("+pictureFile+")") {
		t.Errorf("README.md does not show %s", pictureFile)
	}
}

func TestPictureOfText(t *testing.T) {
	got := string(svg([]screen{{"a <title>", "●→ booted\n   failed  & " + strings.Repeat("x", columns) + "\n\n → staged"}}))
	for _, want := range []string{
		"a &lt;title&gt;", `class="good" xml:space="preserve">●→ booted<`, `class="bad" xml:space="preserve">   failed  &amp; x`, "x…<",
		`class="next" xml:space="preserve"> → staged<`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the picture has no %q:\n%s", want, got)
		}
	}
}

func TestForm(t *testing.T) {
	a := form([]screen{{"t", "3b5c08b17bb5, kernel 6.12.117+deb13-cloud-amd64, built 2026-11-30 04:45 UTC, fs-verity optional, failed 3 times"}})
	b := form([]screen{{"t", "f1a5f739b455, kernel 6.12.118+deb13-cloud-amd64, built 2026-12-01 04:45 UTC, failed 3 times"}})
	c := form([]screen{{"t", "f1a5f739b455, kernel 6.12.118+deb13-cloud-amd64, built 2026-12-01 04:45 UTC, failed 2 times"}})
	if a != b || b == c {
		t.Errorf("forms:\n%s%s%s", a, b, c)
	}
}
