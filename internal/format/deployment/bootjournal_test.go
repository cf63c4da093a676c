package deployment

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestBootJournal(t *testing.T) {
	for _, j := range []BootJournal{{}, {BootID: "b"}, {BootID: "b", Lines: []string{"[    1.0] host kernel: a", "", "# boot c"}}} {
		if got, err := ParseBootJournal(j.Encode()); err != nil || !reflect.DeepEqual(got, j) {
			t.Errorf("read back %+v, %v; want %+v", got, err, j)
		}
	}
	for _, in := range []string{"", "a line\n", "#boot b\n", "# boot \xff\n"} {
		if got, err := ParseBootJournal([]byte(in)); err == nil {
			t.Errorf("ParseBootJournal(%q) = %+v; want an error", in, got)
		}
	}
}

// However long the journal is, what is kept has an end, and is the newest.
func TestLast(t *testing.T) {
	var text strings.Builder
	for n := range 1000 {
		fmt.Fprintf(&text, "line %d\n", n)
	}
	j := Last("b", text.String())
	if len(j.Lines) != 200 || j.Lines[0] != "line 800" || j.Lines[199] != "line 999" {
		t.Errorf("%d lines are kept: %q to %q", len(j.Lines), j.Lines[0], j.Lines[len(j.Lines)-1])
	}
	j = Last("b", "\xff"+strings.Repeat("ä", 10_000)+"\n")
	if len(j.Lines) != 1 || len(j.Lines[0]) > 1000 || len(j.Lines[0]) < 990 || !strings.HasSuffix(j.Lines[0], "ä…") {
		t.Errorf("of a long line is kept %q", j.Lines)
	}
	if j := Last("b", ""); len(j.Lines) > 0 {
		t.Errorf("of nothing is kept %q", j.Lines)
	}
}

func FuzzParseBootJournal(f *testing.F) {
	f.Add([]byte("# boot 1\na\nb"))
	f.Fuzz(func(t *testing.T, in []byte) {
		j, err := ParseBootJournal(in)
		if err == nil {
			again, err := ParseBootJournal(j.Encode())
			if err != nil || !reflect.DeepEqual(again, j) {
				t.Errorf("ParseBootJournal(%q) = %+v; read back %+v, %v", in, j, again, err)
			}
		}
		kept := Last("b", string(in))
		if again, err := ParseBootJournal(kept.Encode()); err != nil || len(again.Lines) != len(kept.Lines) {
			t.Errorf("of %q is kept %q, which is read as %q, %v", in, kept.Lines, again.Lines, err)
		}
	})
}
