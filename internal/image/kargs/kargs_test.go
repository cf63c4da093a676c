package kargs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
)

func TestLoad(t *testing.T) {
	fsys := fstest.MapFS{
		Dir + "/20-b.toml":   {Data: []byte(`kargs = ["c=1 d"]`)},
		Dir + "/10-a.toml":   {Data: []byte(`kargs = ["a", "b=\"x y\""]` + "\n" + `match-architectures = ["x86_64"]`)},
		Dir + "/30-arm.toml": {Data: []byte(`kargs = ["arm"]` + "\n" + `match-architectures = ["aarch64"]`)},
		Dir + "/readme":      {Data: []byte(`not TOML`)},
	}
	got, err := Load(fsys, "amd64")
	if want := []string{"a", `b="x y"`, "c=1", "d"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("Load for amd64 = %q, %v; want %q", got, err, want)
	}
	got, err = Load(fsys, "arm64")
	if want := []string{"c=1", "d", "arm"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("Load for arm64 = %q, %v; want %q", got, err, want)
	}
	if got, err := Load(fstest.MapFS{}, "amd64"); len(got) != 0 || err != nil {
		t.Errorf("Load without kargs.d = %q, %v; want none", got, err)
	}
}

func TestLoadErrors(t *testing.T) {
	for text, want := range map[string]string{
		`kargs = ["a"`:                     "10.toml",
		`kargs = "a"`:                      "10.toml",
		`karg = ["a"]`:                     "unknown key karg",
		``:                                 "no key kargs",
		"kargs = []\nmatch = [\"x86_64\"]": "unknown key match",
	} {
		_, err := Load(fstest.MapFS{Dir + "/10.toml": {Data: []byte(text)}}, "amd64")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load of %q: error is %v; want %q in it", text, err, want)
		}
	}
}

func TestNext(t *testing.T) {
	a, b := deployment.ID(strings.Repeat("a", 128)), deployment.ID(strings.Repeat("b", 128))
	tests := []struct {
		name, current, old, new, want string
	}{
		{"nothing but the image changes", "root=UUID=1 rw composefs=A quiet", "", "", "root=UUID=1 rw composefs=B quiet"},
		{"added", "composefs=A", "x=1", "x=1,y=2", "composefs=B y=2"},
		{"removed", "x=1 z composefs=A", "x=1,y", "y", "z composefs=B"},
		{"changed", "x=1 composefs=A", "x=1", "x=2", "composefs=B x=2"},
		{"the administrator took it away", "composefs=A", "x=1", "x=1", "composefs=B"},
		{"the administrator had it already", "x=1 composefs=A", "", "x=1", "x=1 composefs=B"},
		{"same key, other value stays", "x=2 composefs=A", "x=1", "", "x=2 composefs=B"},
		{"quotes stay", `dyndbg="file a +p" composefs=A`, "", "", `dyndbg="file a +p" composefs=B`},
		{"no deployment yet", "root=UUID=1", "", "", "root=UUID=1 composefs=B"},
		{"nothing at all", "", "", "quiet", "quiet composefs=B"},
		{"before what is for init", "composefs=A -- x", "", "y", "composefs=B y -- x"},
		{"self-describing form", "composefs.digest=v1-fsverity-sha512-12:A quiet", "", "", "quiet composefs=B"},
	}
	replace := strings.NewReplacer("A", string(a), "B", string(b))
	split := func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
	}
	for _, test := range tests {
		got := Next(replace.Replace(test.current), split(test.old), split(test.new), deployment.Target{ID: b})
		if want := replace.Replace(test.want); got != want {
			t.Errorf("%s: Next = %q; want %q", test.name, got, want)
		}
	}
	if got, want := Next("composefs="+string(a), nil, nil, deployment.Target{ID: b, VerityOptional: true}), "composefs=?"+string(b); got != want {
		t.Errorf("Next = %q; want %q", got, want)
	}
}

// TestManyArguments: the time does not grow with the square of their number.
func TestManyArguments(t *testing.T) {
	var text strings.Builder
	var args []string
	for i := range 12_000 {
		args = append(args, fmt.Sprintf("a%d", i))
		fmt.Fprintf(&text, "b%d ", i)
	}
	began := time.Now()
	next := Next(text.String(), nil, args, deployment.Target{ID: deployment.ID(strings.Repeat("b", 128))})
	if took := time.Since(began); took > 5*time.Second || strings.Count(next, " ") != 24_000 {
		t.Errorf("Next of 24000 arguments took %v, and has %d spaces", took, strings.Count(next, " "))
	}
	fsys := make(fstest.MapFS)
	for i := range 20 {
		fsys[fmt.Sprintf("%s/%d.toml", Dir, i)] = &fstest.MapFile{Data: []byte(`kargs = ["` + strings.Repeat("x", 4000) + `"]`)}
	}
	var exceeded *limits.Error
	if _, err := Load(fsys, "amd64"); !errors.As(err, &exceeded) || exceeded.Limit != limits.TOML {
		t.Errorf("Load of 80 KB: %v; want %v", err, limits.TOML.Exceeded())
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`kargs = ["a=b"]`))
	f.Add([]byte("kargs = [\"a\"]\nmatch-architectures = [\"x86_64\"]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		args, err := parse(data, "amd64")
		if err != nil {
			return
		}
		for _, a := range args {
			if again := kcmdline.Parse(a.String()); len(again) != 1 || again[0].String() != a.String() {
				t.Errorf("argument %q reads as %q", a, again.String())
			}
		}
	})
}
