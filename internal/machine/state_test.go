package machine

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/format/bootentry"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/machine/boot"
)

// letterID returns the id that begins with the letter.
func letterID(letter string) deployment.ID { return deployment.ID(letter + strings.Repeat("0", 127)) }

// letters returns the first letters of ids.
func letters(ids []deployment.ID) string {
	var out string
	for _, id := range ids {
		out += string(id[:1])
	}
	return out
}

// sketch reads a State: entries in the loader's order, the first the next
// to boot, as in "+b a z !f": +b has tries left, !f has none, ?x names what is
// missing, and b~ is staged.
func sketch(entries, booted, pinned, broken string) State {
	s := State{Pins: make(map[deployment.ID]string), Broken: make(map[deployment.ID]bool)}
	if booted != "" {
		s.Booted, s.Running = letterID(booted), true
	}
	for i, word := range strings.Fields(entries) {
		letter := strings.Trim(word, "+!?~")
		f := boot.EntryFile{Target: deployment.Target{ID: letterID(letter)}, Name: bootentry.Name{Base: fmt.Sprintf("sysupdate-image-%06d-%s", 100-i, letter)}}
		switch word[0] {
		case '+':
			f.Name.Counted, f.Name.TriesLeft = true, 3
		case '!':
			f.Name.Counted, f.Name.TriesDone = true, 3
		case '?':
			f.Err = fmt.Errorf("missing")
		}
		if strings.HasSuffix(word, "~") {
			f.Staged, s.Staged = true, &deployment.Staged{ID: f.Target.ID}
		}
		s.Files = append(s.Files, f)
	}
	for _, letter := range strings.Fields(pinned) {
		s.Pins[letterID(letter)] = ""
	}
	for _, letter := range strings.Fields(broken) {
		s.Broken[letterID(letter)] = true
	}
	return s
}

// Each case shows which deployments are needed, which stay besides, and in which
// order the others make room. The rule is in docs/design.md, "Which deployments
// stay".
func TestKept(t *testing.T) {
	tests := []struct {
		about, entries, booted, pinned, broken string
		spare                                  int
		needed, besides, makeRoom              string
	}{
		{about: "one deployment", entries: "a", booted: "a", needed: "a"},
		{about: "a rollback", entries: "a z", booted: "a", needed: "az"},
		{about: "what the rollback superseded goes", entries: "a z y x", booted: "a", needed: "az", makeRoom: "xy"},
		{about: "staged: a is not superseded before b has booted, so z stays", entries: "a z y b~", booted: "a", needed: "baz", makeRoom: "y"},
		{about: "published, not booted yet", entries: "+b a z y", booted: "a", needed: "abz", makeRoom: "y"},
		{about: "on trial: z stays until b is good", entries: "+b a z y", booted: "b", needed: "baz", makeRoom: "y"},
		{about: "b is good: a is its rollback, z goes", entries: "b a z", booted: "b", needed: "ba", makeRoom: "z"},
		{about: "b failed: all as before, and b tells why", entries: "a z !b", booted: "a", needed: "az", besides: "b", makeRoom: "b"},
		{about: "of two that failed the last stays", entries: "a z !c !b", booted: "a", needed: "az", besides: "c", makeRoom: "bc"},
		{about: "what failed makes way for what is staged", entries: "a z !b c~", booted: "a", needed: "caz", makeRoom: "b"},
		{about: "booted by hand though it has failed", entries: "a z !b", booted: "b", needed: "baz"},
		{about: "rollback queued: b is booted, z has not booted since, so a stays", entries: "z b a", booted: "b", needed: "bza"},
		{about: "back: b is the rollback of z, a goes", entries: "z b a", booted: "z", needed: "zb", makeRoom: "a"},
		{about: "an update is dropped for another", entries: "a z b~ c~", booted: "a", needed: "caz", makeRoom: "b"},
		{about: "a machine that does not run", entries: "+b a z y", needed: "baz", makeRoom: "y"},
		{about: "a machine that does not run, nothing proven", entries: "+b +a +z", needed: "ba", makeRoom: "z"},
		{about: "only one that failed", entries: "!a", needed: "a"},
		{about: "nothing at all", entries: "", needed: ""},
		{about: "pinned", entries: "a z y x w", booted: "a", pinned: "x", needed: "azx", makeRoom: "wy"},
		{about: "pinned without an entry", entries: "a z", booted: "a", pinned: "q", needed: "azq"},
		{about: "spare ones", entries: "a z y x w", booted: "a", spare: 2, needed: "az", besides: "yx", makeRoom: "wxy"},
		{about: "spare ones besides a pinned one", entries: "a z y x w", booted: "a", pinned: "y", spare: 1, needed: "azy", besides: "x", makeRoom: "wx"},
		{about: "what failed is no spare one", entries: "a z y !x", booted: "a", spare: 2, needed: "az", besides: "xy", makeRoom: "xy"},
		{about: "no rollback without an image", entries: "a z y", booted: "a", broken: "z", needed: "ay", makeRoom: "z"},
		{about: "no rollback without a kernel", entries: "a y ?z", booted: "a", needed: "ay", makeRoom: "z"},
		{about: "no spare one without an image", entries: "a z y x", booted: "a", broken: "y", spare: 1, needed: "az", besides: "x", makeRoom: "yx"},
		{about: "the booted one stays without an image", entries: "a z", booted: "a", broken: "a", needed: "az"},
		{about: "the booted one stays without an entry", entries: "z y", booted: "a", needed: "azy"},
		{about: "not running, and the newest entry cannot be used", entries: "?b a z y", needed: "baz", makeRoom: "y"},
		{about: "not running, and another was published after it", entries: "+c ?b a z y", needed: "cabz", makeRoom: "y"},
		{about: "another has proved itself after it", entries: "c ?b a z y", booted: "c", needed: "ca", makeRoom: "yzb"},
		{about: "not running, and an older entry cannot be used", entries: "a z ?y", needed: "az", makeRoom: "y"},
		{about: "the same deployment twice", entries: "+a b a z", booted: "b", needed: "baz"},
	}
	for _, tt := range tests {
		s := sketch(tt.entries, tt.booted, tt.pinned, tt.broken)
		same := func(what, got, want string) {
			t.Helper()
			if sorted(got) != sorted(want) {
				t.Errorf("%s: of %q %s are %q; want %q", tt.about, tt.entries, what, got, want)
			}
		}
		same("needed", letters(s.Needed()), tt.needed)
		same("kept", letters(s.Kept(tt.spare)), tt.needed+tt.besides)
		if got := letters(s.MakeRoom(tt.spare)); got != tt.makeRoom {
			t.Errorf("%s: of %q room is made by %q; want %q", tt.about, tt.entries, got, tt.makeRoom)
		}
	}
}

// TestKeptWithoutEntry: what has lost its entry stays, and is not needed.
func TestKeptWithoutEntry(t *testing.T) {
	s := sketch("a z y", "a", "", "")
	s.Lost = []deployment.ID{letterID("q")}
	if kept, needed := letters(s.Kept(0)), letters(s.Needed()); sorted(kept) != "aqz" || sorted(needed) != "az" {
		t.Errorf("kept %q, needed %q; want aqz and az", kept, needed)
	}
}

func sorted(s string) string {
	letters := strings.Split(s, "")
	slices.Sort(letters)
	return strings.Join(letters, "")
}

func TestFind(t *testing.T) {
	s := sketch("z b a y~", "b", "a", "")
	s.Pins[letterID("a")] = "old"
	s.Dirs = []deployment.ID{letterID("c")}
	for name, want := range map[string]string{"": "b", "booted": "b", "staged": "y", "next": "y", "rollback": "z", "old": "a", "c000": "c", "a0000": "a"} {
		if got, err := s.Find(name); err != nil || got != letterID(want) {
			t.Errorf("Find(%q) = %s, %v; want %s", name, got.Short(), err, want)
		}
	}
	for _, name := range []string{"none", "d000", "b0"} {
		if got, err := s.Find(name); err == nil {
			t.Errorf("Find(%q) = %s; want an error", name, got.Short())
		}
	}
	for _, role := range []string{"", "booted", "staged", "next", "rollback"} {
		if got, err := (State{}).Find(role); err == nil {
			t.Errorf("Find(%q) of nothing = %s; want an error", role, got.Short())
		}
	}
}

// Each case shows which deployment has which role; a * says that a rollback is queued.
func TestRoles(t *testing.T) {
	tests := []struct{ about, entries, booted, next, rollback string }{
		{"one deployment", "a", "a", "a", ""},
		{"an update has been booted", "b a", "b", "b", "a"},
		{"an update is staged", "b a c~", "b", "c", "a"},
		{"an update is on trial", "+c b a", "c", "c", "b"},
		{"an update was published, and is not booted yet", "+c b a", "b", "c*", "a"},
		{"a rollback to one on trial is queued: as an update, it has a good one to fall back to", "+c b a z", "b", "c*", "a"},
		{"a rollback is queued to the only other one, on trial", "+c b", "b", "c*", "c"},
		{"a rollback is queued: its name is what it goes back to", "a b", "b", "a*", "a"},
		{"nothing else is good", "b +a", "b", "b", "a"},
		{"nothing else has tries left", "b !a", "b", "b", ""},
		{"a machine that is not running", "b a", "", "b", "a"},
	}
	for _, tt := range tests {
		s := sketch(tt.entries, tt.booted, "", "")
		next, rollback := letters([]deployment.ID{s.Next()}), ""
		if s.RollbackQueued() {
			next += "*"
		}
		if id := s.Rollback(); id != "" {
			rollback = letters([]deployment.ID{id})
		}
		if next != tt.next || rollback != tt.rollback {
			t.Errorf("%s: of %q next is %q, rollback %q; want %q, %q", tt.about, tt.entries, next, rollback, tt.next, tt.rollback)
		}
	}
	locked := sketch("b a c~", "b", "", "")
	locked.Staged.FinalizationLocked = true
	if got := locked.Next(); got != letterID("b") {
		t.Errorf("with %s staged and locked, %s is next; want the booted one", letterID("c").Short(), got.Short())
	}
}

// What never booted is no way back while there is something that did.
func TestRollbackTarget(t *testing.T) {
	for _, tt := range []struct{ entries, booted, broken, want string }{
		{"a +b z", "a", "", "z"},
		{"a +b", "a", "", "b"},
		{"a z +b", "", "", "z"},
		{"a +b z", "a", "z", "b"},
		{"+b a z", "a", "", "a"}, // it is queued: undo that
		{"a !b", "a", "", ""},
	} {
		f, err := sketch(tt.entries, tt.booted, "", tt.broken).RollbackTarget()
		got := ""
		if err == nil {
			got = string(f.Target.ID[:1])
		}
		if got != tt.want {
			t.Errorf("%s, %s is booted: back to %q, %v; want %q", tt.entries, tt.booted, got, err, tt.want)
		}
	}
}

func TestCheckRemove(t *testing.T) {
	pins := map[deployment.ID]string{letterID("p"): "", letterID("q"): "name"}
	tests := []struct {
		entries, booted, gone string
		want                  error
	}{
		{"a z", "a", "z", nil},
		{"a z p q", "a", "a", &HeldError{letterID("a"), HeldBooted, ""}},
		{"a z b~", "a", "b", &HeldError{letterID("b"), HeldStaged, ""}},
		{"z a", "a", "z", &HeldError{letterID("z"), HeldNext, ""}},
		{"a z p q", "a", "p", &HeldError{letterID("p"), HeldPinned, ""}},
		{"a z p q", "a", "q", &HeldError{letterID("q"), HeldPinned, "name"}},
		{"a z", "a", "z q", &HeldError{letterID("q"), HeldPinned, "name"}},
		{"b z", "", "b", &HeldError{letterID("b"), HeldNext, ""}},
		{"?a z", "a", "z", &HeldError{letterID("z"), HeldNext, ""}},
		{"?a z", "", "z", &HeldError{letterID("z"), HeldNext, ""}},
		{"z b ?a", "a", "b", nil},
		{"+b a", "b", "a", nil}, // the only one to fall back to: somebody asks for it
	}
	for _, tt := range tests {
		s := sketch(tt.entries, tt.booted, "", "")
		s.Pins = pins
		var gone []deployment.ID
		for _, letter := range strings.Fields(tt.gone) {
			gone = append(gone, letterID(letter))
		}
		if err := s.CheckRemove(gone); !reflect.DeepEqual(err, tt.want) {
			t.Errorf("of %q, booted %q, removing %q: %v; want %v", tt.entries, tt.booted, tt.gone, err, tt.want)
		}
	}
}

func TestOnLastTry(t *testing.T) {
	for _, tt := range []struct {
		entries, booted, failed string
		want                    bool
	}{
		{"a !b", "b", "", true},
		{"a !b", "b", "+1-2", true},  // an earlier try has failed
		{"a !b", "b", "+0-3", false}, // the last one has
		{"a !b", "a", "", false},
		{"a +b !b", "b", "", false},
		{"b a", "b", "", false},
		{"a !b", "", "", false},
	} {
		s := sketch(tt.entries, tt.booted, "", "")
		for _, f := range s.Files {
			if tt.failed != "" && f.Target.ID == letterID("b") {
				s.Failures = map[deployment.ID]deployment.BootFailure{f.Target.ID: {Entry: f.Name.Base + tt.failed + ".conf"}}
			}
		}
		if got := s.BootedOnLastTry(); got != tt.want {
			t.Errorf("of %q, booted %q, failed %q: BootedOnLastTry = %v; want %v", tt.entries, tt.booted, tt.failed, got, tt.want)
		}
	}
}
