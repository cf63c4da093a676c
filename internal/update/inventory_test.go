package update

import (
	"fmt"
	"io/fs"
	"maps"
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

// sketch reads an inventory: entries in the loader's order, the first the next
// to boot, as in "+b a z !f": +b has tries left, !f has none, ?x names what is
// missing, and b~ is staged.
func sketch(entries, booted, pinned, broken string, spare int) inventory {
	v := inventory{pinned: make(map[deployment.ID]string), broken: make(map[deployment.ID]bool), spare: spare}
	if booted != "" {
		v.booted = letterID(booted)
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
			f.Staged, v.staged = true, f.Target.ID
		}
		v.files = append(v.files, f)
	}
	for _, letter := range strings.Fields(pinned) {
		v.pinned[letterID(letter)] = ""
	}
	for _, letter := range strings.Fields(broken) {
		v.broken[letterID(letter)] = true
	}
	return v
}

// Each case shows which deployments are needed, which stay besides, and in which
// order the others make room. The rule is in docs/design.md, "Which deployments
// stay".
func TestInventory(t *testing.T) {
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
		{about: "the same deployment twice", entries: "+a b a z", booted: "b", needed: "baz"},
	}
	for _, tt := range tests {
		v := sketch(tt.entries, tt.booted, tt.pinned, tt.broken, tt.spare)
		same := func(what, got, want string) {
			t.Helper()
			if sorted(got) != sorted(want) {
				t.Errorf("%s: of %q %s are %q; want %q", tt.about, tt.entries, what, got, want)
			}
		}
		same("needed", letters(v.needed()), tt.needed)
		same("kept", letters(v.kept()), tt.needed+tt.besides)
		if got := letters(v.superseded()); got != tt.makeRoom {
			t.Errorf("%s: of %q room is made by %q; want %q", tt.about, tt.entries, got, tt.makeRoom)
		}
	}
}

func sorted(s string) string {
	letters := strings.Split(s, "")
	slices.Sort(letters)
	return strings.Join(letters, "")
}

func TestFind(t *testing.T) {
	v := sketch("z b a y~", "b", "a", "", 0)
	v.pinned[letterID("a")] = "old"
	v.states = []deployment.ID{letterID("c")}
	for name, want := range map[string]string{"booted": "b", "staged": "y", "next": "y", "rollback": "b", "old": "a", "c000": "c", "a0000": "a"} {
		if got, err := v.find(name); err != nil || got != letterID(want) {
			t.Errorf("find(%q) = %s, %v; want %s", name, got.Short(), err, want)
		}
	}
	for _, name := range []string{"", "none", "d000", "b0"} {
		if got, err := v.find(name); err == nil {
			t.Errorf("find(%q) = %s; want an error", name, got.Short())
		}
	}
	for _, role := range []string{"booted", "staged", "next", "rollback"} {
		if got, err := (inventory{}).find(role); err == nil {
			t.Errorf("find(%q) of nothing = %s; want an error", role, got.Short())
		}
	}
}

func TestCheckRemove(t *testing.T) {
	pins := map[deployment.ID]string{letterID("p"): "", letterID("q"): "name"}
	tests := []struct{ entries, booted, gone, want string }{
		{"a z", "a", "z", ""},
		{"a z p q", "a", "a", "it is booted"},
		{"a z b~", "a", "b", "'sysupdate-image rollback booted' drops it"},
		{"z a", "a", "z", "it boots next"},
		{"a z p q", "a", "p", "unpin p00000000000' first"},
		{"a z p q", "a", "q", "unpin name' first"},
		{"a z", "a", "z q", "unpin name' first"},
		{"b z", "", "b", "it boots next"},
		{"?a z", "a", "z", "it boots next"},
		{"z b ?a", "a", "b", ""},
	}
	for _, tt := range tests {
		v := sketch(tt.entries, tt.booted, "", "", 0)
		v.pinned = maps.Clone(pins)
		var gone []deployment.ID
		for _, letter := range strings.Fields(tt.gone) {
			gone = append(gone, letterID(letter))
		}
		err := v.checkRemove(gone)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("of %q, booted %q, removing %q: %v; want %q", tt.entries, tt.booted, tt.gone, err, tt.want)
		}
	}
}

func TestConfig(t *testing.T) {
	files := map[string]string{}
	read := func(name string) ([]byte, error) {
		text, ok := files[name]
		if !ok {
			return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
		}
		return []byte(text), nil
	}
	tests := []struct {
		etc, usr string
		want     int
		err      string
	}{
		{"", "", 0, ""},
		{"", "keep = 2", 2, ""},
		{"keep = 0", "keep = 2", 0, ""},
		{"# nothing", "keep = 2", 2, ""},
		{"keeep = 1", "", 0, `/etc/sysupdate-image/update.toml: unknown key "keeep"`},
		{"", "[x]\nkeep = 1", 0, `/usr/lib/sysupdate-image/update.toml: unknown key "x`},
		{"keep = -1", "", 0, "keep = -1: want 0 to"},
		{`keep = "1"`, "", 0, "keep"},
		{"keep", "", 0, "update.toml"},
		{"require = \"sealed\"", "keep = 2\nallow-downgrade = false", 2, ""},
		{"require = \"\"", "", 0, `require = "": want "signed" or "sealed"`},
		{"require = true", "", 0, "require"},
		{"allow-downgrade = \"no\"", "", 0, "allow-downgrade"},
	}
	for _, tt := range tests {
		files = map[string]string{configEtc: tt.etc, configUsr: tt.usr}
		maps.DeleteFunc(files, func(_, text string) bool { return text == "" })
		c, err := loadConfig(read)
		if tt.err == "" && (err != nil || c.keep() != tt.want) {
			t.Errorf("configuration %q, %q: keep = %d, %v; want %d", tt.etc, tt.usr, c.keep(), err, tt.want)
		}
		if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("configuration %q, %q: %v; want an error with %q", tt.etc, tt.usr, err, tt.err)
		}
	}
}
