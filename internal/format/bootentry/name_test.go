package bootentry

import "testing"

func TestParseName(t *testing.T) {
	tests := []struct {
		file string
		want Name
		str  string // String, if not the file name itself
	}{
		{"a.conf", Name{Base: "a"}, ""},
		{"a.CONF", Name{Base: "a"}, "a.conf"},
		{"a+3.conf", Name{"a", true, 3, 0}, "a+3-0.conf"},
		{"a+2-1.conf", Name{"a", true, 2, 1}, ""},
		{"a+0-3.conf", Name{"a", true, 0, 3}, ""},
		{"a+b+1-0.conf", Name{"a+b", true, 1, 0}, ""},
		{"a+1-0-0.conf", Name{Base: "a+1-0-0"}, ""},
		{"a+.conf", Name{Base: "a+"}, ""},
		{"a+-1.conf", Name{Base: "a+-1"}, ""},
		{"a+1-.conf", Name{Base: "a+1-"}, ""},
		{"a+x.conf", Name{Base: "a+x"}, ""},
		{"a+99999999999.conf", Name{Base: "a+99999999999"}, ""},
		{"+3.conf", Name{Base: "+3"}, ""},
		{"6.12.1+deb13-amd64.conf", Name{Base: "6.12.1+deb13-amd64"}, ""},
	}
	for _, test := range tests {
		got, err := ParseName(test.file)
		if err != nil || got != test.want {
			t.Errorf("ParseName(%q) = %+v, %v; want %+v", test.file, got, err, test.want)
		}
		if test.str == "" {
			test.str = test.file
		}
		if got.String() != test.str {
			t.Errorf("ParseName(%q).String() = %q; want %q", test.file, got, test.str)
		}
	}
	for _, file := range []string{"", ".conf", "a", "a.conf.staged", ".a.conf", "a/b.conf", "a.conf~"} {
		if n, err := ParseName(file); err == nil {
			t.Errorf("ParseName(%q) = %+v; want an error", file, n)
		}
	}
}

func TestNameExhausted(t *testing.T) {
	for file, want := range map[string]bool{"a.conf": false, "a+1-2.conf": false, "a+0-3.conf": true, "a+0.conf": true} {
		n, err := ParseName(file)
		if err != nil || n.Exhausted() != want {
			t.Errorf("ParseName(%q).Exhausted() = %v, %v; want %v", file, n.Exhausted(), err, want)
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{"a.conf", "a+3.conf", "a+2-1.conf", "+.conf", "a+1+2-3.CONF"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, file string) {
		n, err := ParseName(file)
		if err != nil {
			return
		}
		if again, err := ParseName(n.String()); err != nil || again != n {
			t.Errorf("ParseName(%q) = %+v, and ParseName(%q) = %+v, %v", file, n, n, again, err)
		}
	})
}
