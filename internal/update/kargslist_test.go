package update

import (
	"fmt"
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
)

// A user who may read neither the boot partition nor the repository sees the kernel arguments of
// this boot, and where they come from, and what is hidden is named.
func TestKargsOfUser(t *testing.T) {
	b := newBench(t)
	m := b.open(b.copy(), nil)
	defer m.Close()
	two := deployment.ID(b.idIn(m, "2"))
	m.RunAs(two, fstest.MapFS{
		"proc/cmdline":                    {Data: []byte("BOOT_IMAGE=x quiet rw mine composefs=" + string(two) + "\n")},
		"usr/lib/bootc/kargs.d/10-a.toml": {Data: []byte("kargs = [\"quiet\"]\n")},
	})
	s := m.State()
	s.Files = nil
	m.BootErr, m.Repository, m.RepositoryErr = fs.ErrPermission, nil, fs.ErrPermission
	k, err := m.kargs(s, two)
	b.must(err)
	var got string
	for _, a := range k.List {
		got += fmt.Sprintf("%s:%s ", a.Arg, a.Source)
	}
	if want := "quiet:kargs.d rw:installer mine:machine composefs=" + string(two) + ":deployment "; got != want || len(k.Hidden) != 1 {
		t.Errorf("kargs = %q, hidden %q; want %q, and that of the next boot hidden", got, k.Hidden, want)
	}

	// Of another deployment nothing is known.
	if _, err := m.kargs(s, deployment.ID(b.idIn(m, "1"))); err == nil {
		t.Error("the kernel arguments of another deployment are known")
	}
}
