package kcmdline

import (
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	arg := func(key, value string) Arg { return Arg{key, value, true} }
	flag := func(key string) Arg { return Arg{Key: key} }
	tests := []struct {
		in    string
		want  Cmdline
		spell string // what String returns, if it is not in
	}{
		{"", nil, ""},
		{"  \t\n", nil, ""},
		{"quiet\n", Cmdline{flag("quiet")}, "quiet"},
		{"root=UUID=1 rw", Cmdline{arg("root", "UUID=1"), flag("rw")}, ""},
		{"a=", Cmdline{arg("a", "")}, ""},
		{`dyndbg="file a.c +p" x`, Cmdline{arg("dyndbg", "file a.c +p"), flag("x")}, ""},
		{`"a=b c"`, Cmdline{arg("a", "b c")}, `a="b c"`},
		{`"a b"`, Cmdline{flag("a b")}, ""},
		{`"a b=c"`, Cmdline{arg("a b", "c")}, ""},
		{`a=b" "c`, Cmdline{arg("a", "b c")}, `a="b c"`},
		{`a="b c`, Cmdline{arg("a", "b c")}, `a="b c"`},
		{`a='b c'`, Cmdline{arg("a", "'b"), flag("c'")}, ""},
		{`""`, nil, ""},
		{`a "" b`, Cmdline{flag("a"), flag("b")}, "a b"},
		{"=a", Cmdline{flag("=a")}, ""},
		{"=a=b", Cmdline{arg("=a", "b")}, ""},
		{`"=a b"`, Cmdline{flag("=a b")}, ""},
		{`a\ b`, Cmdline{flag(`a\`), flag("b")}, ""},
		{"init=/x -- init=/y -s", Cmdline{arg("init", "/x"), flag("--"), arg("init", "/y"), flag("-s")}, ""},
	}
	for _, tt := range tests {
		got := Parse(tt.in)
		if !slices.Equal(got, tt.want) {
			t.Errorf("Parse(%q) = %q; want %q", tt.in, got, tt.want)
		}
		want := tt.spell
		if want == "" && len(tt.want) > 0 {
			want = tt.in
		}
		if s := got.String(); s != want {
			t.Errorf("Parse(%q).String() = %q; want %q", tt.in, s, want)
		}
	}
}

func TestLookup(t *testing.T) {
	const in = "a_b=1 quiet a-b=2 a-b -- a-b=3"
	c := Parse(in)
	for _, tt := range []struct {
		key, last string
		ok        bool
		all       []string
	}{
		{"a-b", "", true, []string{"1", "2", ""}},
		{"a_b", "", true, []string{"1", "2", ""}},
		{"quiet", "", true, []string{""}},
		{"composefs", "", false, nil},
	} {
		if got, ok := c.Last(tt.key); got != tt.last || ok != tt.ok {
			t.Errorf("Parse(%q).Last(%q) = %q, %v; want %q, %v", in, tt.key, got, ok, tt.last, tt.ok)
		}
		if got := c.All(tt.key); !slices.Equal(got, tt.all) {
			t.Errorf("Parse(%q).All(%q) = %q; want %q", in, tt.key, got, tt.all)
		}
	}
}

func TestSelect(t *testing.T) {
	const in = "b=1 a_b=2 quiet b a-b -- b=3"
	if got, want := Parse(in).Select("b", "a-b").String(), "b=1 a_b=2 b a-b"; got != want {
		t.Errorf("Parse(%q).Select = %q; want %q", in, got, want)
	}
}

func TestWith(t *testing.T) {
	tests := []struct{ in, key, value, with, without string }{
		{"", "a", "1", "a=1", ""},
		{"quiet", "a", "1", "quiet a=1", "quiet"},
		{"x a=0 y a=2 z", "a", "1", "x a=1 y z", "x y z"},
		{"a_b=0 x", "a-b", "1", "a-b=1 x", "x"},
		{"x -- a=0", "a", "1", "x a=1 -- a=0", "x -- a=0"},
		{"a", "a", "b c", `a="b c"`, ""},
	}
	for _, tt := range tests {
		c := Parse(tt.in)
		if got := c.With(tt.key, tt.value).String(); got != tt.with {
			t.Errorf("Parse(%q).With(%q, %q) = %q; want %q", tt.in, tt.key, tt.value, got, tt.with)
		}
		if got := c.Without(tt.key).String(); got != tt.without {
			t.Errorf("Parse(%q).Without(%q) = %q; want %q", tt.in, tt.key, got, tt.without)
		}
		if got := c.String(); got != tt.in {
			t.Errorf("With or Without made %q of %q", got, tt.in)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "root=UUID=1 rw", `a="b c" "d e=f" ""`, "=a=b", "a -- b", `x"y`, "\xa0\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c := Parse(s)
		if again := Parse(c.String()); !slices.Equal(again, c) {
			t.Errorf("Parse(%q) = %q, as text %q; read back %q", s, c, c.String(), again)
		}
		for _, a := range c {
			if a.Key == "" {
				t.Errorf("Parse(%q) = %q; has an argument without a key", s, c)
			}
		}
	})
}
