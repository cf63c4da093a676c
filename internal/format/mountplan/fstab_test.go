package mountplan

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

const fstab = `# <what> <where> <type> <options> <dump> <pass>
UUID=12 / ext4 errors=remount-ro 0 1

	# /dev/x /commented ext4
 LABEL=a\040b	/c\134d	btrfs	subvol=x,noauto,x-y=\054  0 0 # more
/swap none swap sw
/dev/x /short
alone`

func TestParseFstab(t *testing.T) {
	want := Plan{
		{What: "UUID=12", Where: "/", Type: "ext4", Options: []string{"errors=remount-ro"}},
		{What: "LABEL=a b", Where: `/c\d`, Type: "btrfs", Options: []string{"subvol=x", "noauto", "x-y=,"}},
		{What: "/swap", Where: "none", Type: "swap", Options: []string{"sw"}},
		{What: "/dev/x", Where: "/short", Type: "auto", Options: []string{"defaults"}},
	}
	if got := ParseFstab(fstab); !reflect.DeepEqual(got, want) {
		t.Errorf("ParseFstab = %+v; want %+v", got, want)
	}
	if got := ParseFstab(""); got != nil {
		t.Errorf("ParseFstab of nothing = %+v", got)
	}
}

// What was read is written so that it is read again as the same.
func FuzzParseFstab(f *testing.F) {
	f.Add(fstab)
	f.Add(`\043 \000\ \04 ,,` + "\r\n")
	f.Fuzz(func(t *testing.T, data string) {
		p := ParseFstab(data)
		again := ParseFstab(p.String())
		if !slices.EqualFunc(p, again, func(a, b Mount) bool {
			return a.What == b.What && a.Where == b.Where && a.Type == b.Type && strings.Join(a.Options, ",") == strings.Join(b.Options, ",")
		}) {
			t.Errorf("ParseFstab(%q) = %+v, which is read again as %+v", data, p, again)
		}
	})
}
