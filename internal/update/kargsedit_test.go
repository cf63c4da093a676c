package update

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestEditedKargs(t *testing.T) {
	for _, tt := range []struct{ before, after, add, remove string }{
		{"a b", "a b", "", ""},
		{"a b", "b c", "c", "a"},
		{"a b", "b c a", "c", ""},
		{"a", "", "", "a"},
	} {
		add, remove, err := EditedKargs(strings.Fields(tt.before), strings.Fields(tt.after))
		if err != nil || !slices.Equal(add, strings.Fields(tt.add)) || !slices.Equal(remove, strings.Fields(tt.remove)) {
			t.Errorf("EditedKargs(%q, %q) = %q, %q, %v; want %q, %q", tt.before, tt.after, add, remove, err, tt.add, tt.remove)
		}
	}
	if _, _, err := EditedKargs([]string{"a", "b"}, []string{"b", "a"}); !errors.Is(err, ErrKargsOrder) {
		t.Errorf("another order: %v; want ErrKargsOrder", err)
	}
}

func TestEditable(t *testing.T) {
	k := Kargs{List: []Karg{{Arg: "composefs=0", Source: KargDeployment}, {Arg: "quiet", Source: KargMachine}, {Arg: "ro", Source: KargImage}}}
	if _, err := k.Editable(); !errors.As(err, new(*SealedKargsError)) {
		t.Errorf("arguments of a sealed image: %v; want a SealedKargsError", err)
	}
	k.List = k.List[:2]
	if got, err := k.Editable(); err != nil || !slices.Equal(got, []string{"quiet"}) {
		t.Errorf("Editable() = %q, %v; want quiet alone", got, err)
	}
}
