package deployment

import (
	"errors"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
)

var (
	long  = strings.Repeat("0a", 64)
	other = strings.Repeat("0b", 64)
	short = strings.Repeat("0c", 32)
)

func TestFromCmdline(t *testing.T) {
	const v1 = "composefs.digest=v1-fsverity-sha512-12:"
	tests := []struct {
		in      string
		want    Target
		wantErr string
	}{
		{"quiet composefs=" + long + " rw\n", Target{ID: ID(long)}, ""},
		{"composefs=?" + short, Target{ID: ID(short), VerityOptional: true}, ""},
		{"composefs=" + long + " composefs=" + other, Target{ID: ID(long)}, ""},
		{v1 + long, Target{ID: ID(long)}, ""},
		{"composefs.digest=?v2-fsverity-sha256-12:" + short, Target{ID: ID(short), VerityOptional: true}, ""},
		{v1 + other + " composefs=" + long, Target{ID: ID(other)}, ""},
		{v1 + other + " composefs=?" + long, Target{ID: ID(other)}, ""},
		{"composefs.digest=v3-blake3:xyz " + v1 + long, Target{ID: ID(long)}, ""},
		{"", Target{}, ErrNoDeployment.Error()},
		{"composefs.other=" + long, Target{}, ErrNoDeployment.Error()},
		{"-- composefs=" + long, Target{}, ErrNoDeployment.Error()},
		{"composefs", Target{}, "has 0 characters"},
		{"composefs=" + strings.ToUpper(long), Target{}, "not in lower case"},
		{"composefs=??" + long, Target{}, "has 129 characters"},
		{"composefs.digest=v3-blake3:xyz", Target{}, "unknown format or algorithm"},
		{"composefs.digest=v1-fsverity-sha512-16:" + long, Target{}, "unknown format or algorithm"},
		{"composefs.digest=" + long, Target{}, "want FORMAT-ALGORITHM:DIGEST"},
		{v1 + short, Target{}, "digest has 64 characters: want 128"},
	}
	for _, tt := range tests {
		got, err := FromCmdline(kcmdline.Parse(tt.in))
		if tt.wantErr != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("FromCmdline(%q) error = %v; want one with %q", tt.in, err, tt.wantErr)
			}
			if errors.Is(err, ErrNoDeployment) != (tt.wantErr == ErrNoDeployment.Error()) {
				t.Errorf("FromCmdline(%q) error = %v; ErrNoDeployment is wrong", tt.in, err)
			}
			continue
		}
		if err != nil || got != tt.want {
			t.Errorf("FromCmdline(%q) = %v, %v; want %v", tt.in, got, err, tt.want)
		}
		again, err := FromCmdline(kcmdline.Parse(got.Karg()))
		if err != nil || again != got {
			t.Errorf("FromCmdline(%q) = %v, %v; want %v", got.Karg(), again, err, got)
		}
	}
}

func TestCandidates(t *testing.T) {
	a, b, c := "composefs="+long, "composefs=?"+other, "composefs.digest=v1-fsverity-sha256-12:"+short
	optionalA, optionalC := "composefs=?"+long, "composefs.digest=?v2-fsverity-sha256-12:"+short
	const newer, optionalNewer = "composefs.digest=v3-blake3:xyz", "composefs.digest=?v3-blake3:xyz"
	tests := []struct {
		in      []string
		want    string // targets in their order
		skipped []string
	}{
		{[]string{a, c}, long + " " + short, nil},
		{[]string{c, a}, short + " " + long, nil},
		{[]string{a, b}, long, []string{b}},
		{[]string{c, b}, short, []string{b}},
		{[]string{a, optionalA}, long, []string{optionalA}},
		{[]string{a, optionalC, c, b}, long + " " + short, []string{optionalC, b}},
		{[]string{b, a}, "?" + other + " " + long, nil},
		{[]string{b, a, optionalC}, "?" + other + " " + long, []string{optionalC}},
		{[]string{b, optionalC}, "?" + other + " ?" + short, nil},
		{[]string{optionalNewer, b}, "?" + other, nil},
		{[]string{newer, a}, long, nil},
		{[]string{a, optionalNewer}, long, []string{optionalNewer}},
	}
	for _, tt := range tests {
		cmdline := kcmdline.Parse(strings.Join(tt.in, " quiet "))
		all, err := Candidates(cmdline)
		var names []string
		for _, target := range all {
			names = append(names, target.String())
		}
		if got := strings.Join(names, " "); err != nil || got != tt.want {
			t.Errorf("Candidates(%q) = %q, %v; want %q", cmdline, got, err, tt.want)
		}
		if got := Skipped(cmdline); !slices.Equal(got, tt.skipped) {
			t.Errorf("Skipped(%q) = %q; want %q", cmdline, got, tt.skipped)
		}
	}
	if all, err := Candidates(kcmdline.Parse(newer + " " + b)); err == nil || !strings.Contains(err.Error(), "is weaker") {
		t.Errorf("unverified after an unknown algorithm: %v, %v; want an error", all, err)
	}
}

func TestFromMountSource(t *testing.T) {
	tests := []struct {
		in   string
		want ID
		ok   bool
	}{
		{"composefs:" + long, ID(long), true},
		{"transient:composefs=" + long, ID(long), true},
		{ID(short).MountSource(), ID(short), true},
		{"composefs=" + long, "", false},
		{"composefs:", "", false},
		{"composefs:../../x", "", false},
		{"/dev/sda2", "", false},
		{"overlay", "", false},
	}
	for _, tt := range tests {
		if got, ok := FromMountSource(tt.in); got != tt.want || ok != tt.ok {
			t.Errorf("FromMountSource(%q) = %q, %v; want %q, %v", tt.in, got, ok, tt.want, tt.ok)
		}
	}
}

func TestPaths(t *testing.T) {
	id := ID(short)
	for got, want := range map[string]string{
		id.Dir():                                 "state/deploy/" + short,
		id.EtcUpper():                            "state/deploy/" + short + "/etc/upper",
		id.EtcWork():                             "state/deploy/" + short + "/etc/work",
		id.OriginFile():                          "state/deploy/" + short + "/" + short + ".origin",
		id.Var():                                 "state/deploy/" + short + "/var",
		id.Short():                               "0c0c0c0c0c0c",
		ID("ab").Short():                         "ab",
		VarTarget:                                "../../os/default/var", // docs/formats: what bootc writes
		path.Join(path.Dir(id.Var()), VarTarget): SharedVar,
	} {
		if got != want {
			t.Errorf("got %q; want %q", got, want)
		}
	}
	if _, err := ParseID("../" + short[3:]); err == nil {
		t.Error("ParseID takes a path")
	}
}

func FuzzFromCmdline(f *testing.F) {
	f.Add("composefs=?" + long)
	f.Add("composefs.digest=v1-fsverity-sha256-12:" + short)
	f.Fuzz(func(t *testing.T, s string) {
		all, err := Candidates(kcmdline.Parse(s))
		if (err == nil) != (len(all) > 0) {
			t.Errorf("Candidates(%q) = %v, %v", s, all, err)
		}
		strict := false
		for _, target := range all {
			if strict && target.VerityOptional {
				t.Errorf("Candidates(%q) = %v; the last is weaker than one before it", s, all)
			}
			strict = strict || !target.VerityOptional
			if again, err := parseTarget(target.String()); again != target || err != nil {
				t.Errorf("parseTarget(%q) = %v, %v; want %v", target, again, err, target)
			}
		}
	})
}
