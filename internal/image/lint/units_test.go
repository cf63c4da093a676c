package lint

import (
	"strings"
	"testing"
)

func TestUnitOptions(t *testing.T) {
	const text = "# c\n[Service]\nExecStart=/bin/a \\\n# c\n; c\n  b\n\nReadWritePaths = /x\nnothing\nKey=\n"
	want := []unitOption{{3, "ExecStart", "/bin/a  b"}, {8, "ReadWritePaths", "/x"}, {10, "Key", ""}}
	got := unitOptions(text)
	if len(got) != len(want) {
		t.Fatalf("unitOptions() = %+v; want %+v", got, want)
	}
	for i, o := range got {
		if o != want[i] {
			t.Errorf("option %d is %+v; want %+v", i, o, want[i])
		}
	}
}

func TestWritesUsr(t *testing.T) {
	for text, want := range map[string]string{
		"ExecStart=/usr/bin/touch /usr/x":                      "writes to /usr/x",
		"ExecStart=-/bin/cp /usr/share/x /etc/x":               "",
		"ExecStart=/bin/cp /etc/x /usr/share/x":                "writes to /usr/share/x",
		"ExecStart=/bin/sh -c 'cat /usr/x > /run/x'":           "",
		"ExecStart=/bin/sh -c 'true; date >> /usr/lib/x'":      "/usr/lib/x",
		"ExecStart=/bin/bash -ec \"true && rm -f /usr/lib/x\"": "writes to /usr/lib/x",
		"ExecStart=/usr/bin/sed -i s/a/b/ /usr/lib/x":          "writes to /usr/lib/x",
		"ExecStart=/usr/bin/sed s/a/b/ /usr/lib/x":             "",
		"ExecStart=/usr/sbin/dkms autoinstall --verbose":       "changes the system",
		"ExecStart=/usr/bin/dnf makecache --timer":             "",
		"ExecStart=/usr/sbin/depmod -a":                        "changes the system",
		"ExecStart=\"unclosed":                                 "",
		"PIDFile=/usr/run/x.pid":                               "PIDFile",
		"StandardOutput=append:/usr/log":                       "StandardOutput",
		"StandardOutput=journal":                               "",
		"ReadWritePaths=/var /usr/../srv":                      "",
		"ReadWritePaths=\"/usr/lib/x\"":                        "/usr/lib/x",
		"Environment=PATH=/usr/bin":                            "",
	} {
		got := writesUsr(unitOptions(text)[0])
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("writesUsr(%s) = %q; want %q", text, got, want)
		}
	}
}

func FuzzUnitOptions(f *testing.F) {
	f.Add("[Service]\nExecStart=/bin/sh -c 'date > /usr/x' \\\n; c\n b\nReadWritePaths=-/usr /x\n")
	f.Add("\\\n\\\n=")
	f.Fuzz(func(t *testing.T, text string) {
		most := strings.Count(text, "\n") + 1
		for _, o := range unitOptions(text) {
			if o.line < 1 || o.line > most || strings.Contains(o.key, "\n") {
				t.Errorf("option %+v of %q", o, text)
			}
			writesUsr(o)
		}
	})
}
