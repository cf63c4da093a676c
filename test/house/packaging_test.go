package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// recipes are where packages name our version and that of Go, as go.mod has it, or without the
// last number where a distribution's package does not have that.
var recipes = []struct{ file, version, goVersion string }{
	{"packaging/debian/changelog", `\(VERSION\)`, ""},
	{"packaging/debian/control", "", `golang-any \(>= 2:MINOR~\)`},
	{"packaging/rpm/sysupdate-image.spec", `(?m)^Version: +VERSION$`, `(?m)^BuildRequires: +golang >= GO$`},
	{"packaging/arch/PKGBUILD", `(?m)^pkgver=VERSION$`, ""},
}

// TestRecipes wants the recipes of packages to name the versions that the Makefile and go.mod have.
func TestRecipes(t *testing.T) {
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(repository(t), name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	version := regexp.MustCompile(`(?m)^VERSION \?= (\S+)$`).FindStringSubmatch(read("Makefile"))
	goVersion := regexp.MustCompile(`(?m)^go (\d+\.\d+)(\.\d+)?$`).FindStringSubmatch(read("go.mod"))
	if version == nil || goVersion == nil {
		t.Fatal("the Makefile has no VERSION, or go.mod no version of Go")
	}
	values := strings.NewReplacer("VERSION", regexp.QuoteMeta(version[1]), "MINOR", regexp.QuoteMeta(goVersion[1]), "GO", regexp.QuoteMeta(goVersion[1]+goVersion[2]))
	for _, r := range recipes {
		for _, pattern := range []string{r.version, r.goVersion} {
			if want := values.Replace(pattern); !regexp.MustCompile(want).MatchString(read(r.file)) {
				t.Errorf("%s does not match %s", r.file, want)
			}
		}
	}
}
