package bootentry

import (
	"slices"
	"testing"
)

func TestCompareVersions(t *testing.T) {
	// From older to newer; the first list is the example of the Version Format
	// Specification. That a second ~ makes newer again is systemd's doing.
	lists := [][]string{
		{"122.1", "123~rc1-1", "123", "123-a", "123-a.1", "123-1", "123-1.1", "123^post1", "123.a-1", "123.1-1", "123a-1", "124-1"},
		{"~1", "", "a", "ab", "b", "1", "2", "10", "0100"},
		{"1.0~", "1.0~~", "1.0", "1.0-", "1.0^", "1.0."},
		{"os-000009.conf", "os-000010.conf", "os-999999.conf", "os-1000000.conf"},
		{"1~a", "1~a1", "1~1", "1"},
		{"5.11.0-0.rc5.fc33", "5.11.0-1.fc33", "5.11.1-0.fc33"},
	}
	for _, list := range lists {
		for i, a := range list {
			for j, b := range list {
				want := i - j
				if got := CompareVersions(a, b); (got < 0) != (want < 0) || (got > 0) != (want > 0) {
					t.Errorf("CompareVersions(%q, %q) = %d; want a number like %d", a, b, got, want)
				}
			}
		}
	}
	for _, same := range [][2]string{{"1_2a", "1 2a"}, {"00123", "123"}, {"_1", "1+"}, {"é1", "1"}, {"1+1", "1é1"}} {
		if got := CompareVersions(same[0], same[1]); got != 0 {
			t.Errorf("CompareVersions(%q, %q) = %d; want 0", same[0], same[1], got)
		}
	}
}

func TestSort(t *testing.T) {
	file := func(name string, e Entry) File {
		n, err := ParseName(name)
		if err != nil {
			t.Fatal(err)
		}
		return File{n, e}
	}
	ours := Entry{SortKey: "sysupdate-image"}
	want := []File{
		file("zz.conf", Entry{SortKey: "bootc-os-0"}),
		file("aa.conf", Entry{SortKey: "bootc-os-1", Version: "9"}),
		file("sysupdate-image-000012-ab+3-0.conf", ours),
		file("sysupdate-image-000011-ff+3-0.conf", ours),
		file("SYSUPDATE-IMAGE-000010-EE.conf", ours),
		file("sysupdate-image-000010-ee+5-0.conf", ours),
		file("sysupdate-image-000010-ee+4-1.conf", ours),
		file("sysupdate-image-000010-ee+4-2.conf", ours),
		file("new.conf", Entry{SortKey: "x", MachineID: "1", Version: "1"}),
		file("b.conf", Entry{SortKey: "x", MachineID: "2", Version: "10"}),
		file("c.conf", Entry{SortKey: "x", MachineID: "2", Version: "9"}),
		file("z.conf", Entry{}),
		file("a.conf", Entry{Version: "99"}),
		file("first+0-3.conf", Entry{SortKey: "a"}),
		file("sysupdate-image-000099-cc+0-3.conf", ours),
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	Sort(got)
	// Nothing but the tries tells the last three of serial 10 from the first.
	for i := range want {
		if got[i].Name.Base != want[i].Name.Base && i != 4 && i != 7 {
			t.Errorf("entry %d is %s; want %s", i, got[i].Name, want[i].Name)
		}
	}
	for i := range want[:len(want)-1] {
		if c := Compare(want[i], want[i+1]); c > 0 {
			t.Errorf("Compare(%s, %s) = %d; want at most 0", want[i].Name, want[i+1].Name, c)
		}
	}
}

func FuzzCompareVersions(f *testing.F) {
	f.Add("123~rc1-1", "123.a-1")
	f.Add("", "~")
	f.Add("1.é2", "\xff1^")
	f.Fuzz(func(t *testing.T, a, b string) {
		ab, ba := CompareVersions(a, b), CompareVersions(b, a)
		if (ab < 0) != (ba > 0) || (ab == 0) != (ba == 0) {
			t.Errorf("CompareVersions(%q, %q) = %d, the reverse %d", a, b, ab, ba)
		}
		if CompareVersions(a, a) != 0 {
			t.Errorf("CompareVersions(%q, itself) is not 0", a)
		}
	})
}
