package mountplan

import (
	"reflect"
	"strings"
	"testing"
)

func TestPlanString(t *testing.T) {
	p := Plan{
		{What: "composefs:12", Where: "/sysroot", Type: "overlay", Options: []string{"ro", "verity=require"}},
		{What: "/a b", Where: `/c\d`, Type: ""},
		{What: "#x", Where: "/\t\n", Type: "tmpfs", Options: []string{"mode=0755"}},
	}
	const want = `composefs:12 /sysroot overlay ro,verity=require 0 0
/a\040b /c\134d none defaults 0 0
\043x /\011\012 tmpfs mode=0755 0 0
`
	if got := p.String(); got != want {
		t.Errorf("String() = %q; want %q", got, want)
	}
}

const mountinfo = `22 1 0:21 / / ro,relatime shared:1 - overlay composefs:ab ro,lowerdir+=/x,datadir+=/y,verity=require
23 22 8:2 / /sysroot ro - ext4 /dev/sda2 rw
24 22 0:22 / /etc rw,relatime shared:2 master:3 - overlay overlay rw,upperdir=/s/etc/a\040b,workdir=/w
25 22 0:23 / /mnt rw - tmpfs  rw
26 25 8:2 /a\040b\134 /mnt rw - ext4 /dev/sda2 rw
`

func TestParseMountinfo(t *testing.T) {
	all, err := ParseMountinfo(mountinfo)
	if err != nil || len(all) != 5 {
		t.Fatalf("ParseMountinfo = %d mounts, %v; want 5", len(all), err)
	}
	if m, ok := At(all, "/"); !ok || m.What != "composefs:ab" || m.Type != "overlay" {
		t.Errorf("At(/) = %+v, %v", m, ok)
	}
	m, ok := At(all, "/mnt")
	want := Mounted{
		ID: 26, Parent: 25, Device: "8:2", Root: `/a b\`, Where: "/mnt", Options: []string{"rw"},
		Type: "ext4", What: "/dev/sda2", SuperOptions: []string{"rw"},
	}
	if !ok || !reflect.DeepEqual(m, want) {
		t.Errorf("At(/mnt) = %+v; want %+v", m, want)
	}
	if m, ok := Lowest(all, "/mnt"); !ok || m.ID != 25 {
		t.Errorf("Lowest(/mnt) = %+v, %v; want that of ID 25", m, ok)
	}
	m, _ = At(all, "/etc")
	if got, ok := m.Option("upperdir"); got != "/s/etc/a b" || !ok {
		t.Errorf("Option(upperdir) = %q, %v", got, ok)
	}
	if got, ok := m.Option("lowerdir"); ok {
		t.Errorf("Option(lowerdir) = %q; want none", got)
	}
	if _, ok := At(all, "/var"); ok {
		t.Error("At(/var) finds a mount")
	}
	if _, ok := Lowest(all, "/var"); ok {
		t.Error("Lowest(/var) finds a mount")
	}
}

func TestParseMountinfoErrors(t *testing.T) {
	for in, want := range map[string]string{
		"x":                            "want at least six fields",
		"1 2 3 4 5 6 7":                "want at least six fields",
		"a 2 8:1 / / rw - ext4 x rw":   "mount ID",
		"1 b 8:1 / / rw - ext4 x rw":   "parent ID",
		"1 2 8:1 / / rw - ext4 x rw y": "three more",
	} {
		if _, err := ParseMountinfo(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseMountinfo(%q) error = %v; want one with %q", in, err, want)
		}
	}
}

func FuzzParseMountinfo(f *testing.F) {
	f.Add(mountinfo)
	f.Add(`1 2 8:1 / /\04 rw - ext4 \x rw`)
	f.Fuzz(func(t *testing.T, data string) {
		all, err := ParseMountinfo(data)
		if err != nil {
			return
		}
		for _, m := range all {
			line := Mount{What: m.What, Where: m.Where, Type: m.Type, Options: m.SuperOptions}.String()
			// As getmntent(3) splits a line; Unicode has more spaces.
			got := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\n", r) })
			if len(got) != 6 {
				t.Errorf("mount %+v as fstab(5) is %q: %d fields; want 6", m, line, len(got))
			}
		}
	})
}

func FuzzField(f *testing.F) {
	f.Add(`a b\040#`)
	f.Fuzz(func(t *testing.T, s string) {
		if got := unescape(field(s, "")); got != s {
			t.Errorf("unescape(field(%q)) = %q", s, got)
		}
	})
}
