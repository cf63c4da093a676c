package systemctl

import (
	"strings"
	"testing"
)

func FuzzParseShow(f *testing.F) {
	f.Add("Id=a.service\nDescription=A\nResult=exit-code\nExecMainStatus=1\n\nId=b.mount\nDescription=B=C\n")
	f.Add("\n\n\nId=\n")
	f.Fuzz(func(t *testing.T, out string) {
		units := parseShow(out)
		if n := strings.Count(out, "Id="); len(units) > n {
			t.Errorf("%d units in %q", len(units), out)
		}
		for _, u := range units {
			if u.Name == "" || strings.Contains(u.Name+u.Description+u.Result+u.Status, "\n") {
				t.Errorf("parseShow(%q) has %+v", out, u)
			}
		}
	})
}
