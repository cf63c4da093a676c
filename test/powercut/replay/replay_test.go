package replay

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/test/powercut/writelog"
)

// write is an entry that fills sectors with a letter.
func write(sector, count int, letter byte, flags ...writelog.Flags) writelog.Entry {
	e := writelog.Entry{
		Offset: int64(sector) * SectorSize, Length: int64(count) * SectorSize,
		Data: bytes.Repeat([]byte{letter}, count*SectorSize),
	}
	for _, f := range flags {
		e.Flags |= f
	}
	return e
}

var flush = writelog.Entry{Flags: writelog.Flush}

// letters returns what is on a disk, a letter a sector.
func letters(content []byte) string {
	var b strings.Builder
	for i := 0; i < len(content); i += SectorSize {
		b.WriteByte(content[i])
	}
	return b.String()
}

func blank(sectors int) []byte { return bytes.Repeat([]byte{'.'}, sectors*SectorSize) }

// disksOf makes the disk of each cut, in another way than Enumerate does.
func disksOf(entries []writelog.Entry, sectors int, cuts []Cut) (disks []string) {
	for _, c := range cuts {
		content := blank(sectors)
		put := func(e writelog.Entry, from, to int) {
			for s := from; s < to; s++ {
				copy(content[e.Offset+int64(s)*SectorSize:], e.Data[s*SectorSize:(s+1)*SectorSize])
			}
		}
		for _, e := range entries[:c.Durable] {
			if e.IsWrite() {
				put(e, 0, int(e.Length/SectorSize))
			}
		}
		for _, p := range c.Pieces {
			put(entries[p.Entry], p.From, p.To)
		}
		disks = append(disks, letters(content))
	}
	return disks
}

var oneArea = []Area{{0, 4 * SectorSize}}

func always(int) int { return 0 }

// TestEnumerateAll finds every content that a disk can have after a power cut, and
// no other.
func TestEnumerateAll(t *testing.T) {
	tests := []struct {
		name    string
		entries []writelog.Entry
		want    []string
	}{
		{"a flush keeps what was before it",
			[]writelog.Entry{write(0, 1, 'a'), flush, write(1, 1, 'b')},
			[]string{"....", "a...", "ab.."}},
		{"what is in flight arrives in any order",
			[]writelog.Entry{write(0, 1, 'a'), write(1, 1, 'b')},
			[]string{"....", ".b..", "a...", "ab.."}},
		{"a write can be torn at every sector",
			[]writelog.Entry{write(0, 2, 'a')},
			[]string{"....", ".a..", "a...", "aa.."}},
		{"two writes to one sector keep their order",
			[]writelog.Entry{write(0, 1, 'a'), write(0, 1, 'b')},
			[]string{"....", "a...", "b..."}},
		{"what is written through is there once it is complete",
			[]writelog.Entry{write(0, 1, 'a', writelog.FUA), write(1, 1, 'b')},
			[]string{"....", "a...", "ab.."}},
	}
	for _, tt := range tests {
		cuts := Enumerate(tt.entries, blank(4), oneArea, always, Options{Seed: 1, Want: 1000})
		got := disksOf(tt.entries, 4, cuts)
		if sorted := slices.Sorted(slices.Values(got)); !reflect.DeepEqual(sorted, tt.want) {
			t.Errorf("%s: contents %q; want %q", tt.name, sorted, tt.want)
		}
	}
}

// TestStates finds that cuts have the same state just when they have the same
// content.
func TestStates(t *testing.T) {
	entries := []writelog.Entry{write(0, 4, 'a'), flush, write(1, 2, 'b'), write(3, 1, 'c'), write(0, 1, '.'), flush, write(0, 4, 'a'), write(2, 1, 'a')}
	n := 0
	cuts := Enumerate(entries, blank(4), oneArea, func(at int) int { n++; return at }, Options{Seed: 7, Want: 500})
	byState, byContent := map[State]string{}, map[string]State{}
	for i, content := range disksOf(entries, 4, cuts) {
		state := cuts[i].States[0]
		if other, ok := byState[state]; ok && other != content {
			t.Errorf("state %x is %q and %q", state, other, content)
		}
		if other, ok := byContent[content]; ok && other != state {
			t.Errorf("content %q is %x and %x", content, other, state)
		}
		byState[state], byContent[content] = content, state
	}
	if n == 0 || len(byState) < 20 {
		t.Errorf("%d states; want more", len(byState))
	}
}

// TestEnumerate finds the promises of a cut: what is durable, what was in flight.
func TestEnumerate(t *testing.T) {
	var entries []writelog.Entry
	for i := range 30 {
		entries = append(entries, write(i%8, 1+i%3, byte('a'+i%26)))
		if i%5 == 4 {
			entries = append(entries, flush)
		}
	}
	areas := []Area{{0, 5 * SectorSize}, {5 * SectorSize, 5 * SectorSize}}
	moment := func(at int) int { return at / 9 }
	cuts := Enumerate(entries, blank(10), areas, moment, Options{Seed: 3, Want: 300, From: 2})
	if len(cuts) != 300 {
		t.Errorf("%d cuts; want 300", len(cuts))
	}
	seen := map[string]bool{}
	for _, c := range cuts {
		flushes := 0
		for _, e := range entries[c.Durable:c.At] {
			if e.Flags&writelog.Flush != 0 && c.At != c.Durable {
				flushes++
			}
		}
		// The flush that ends an epoch is complete no earlier than the next begins.
		if flushes > 1 || c.Durable < 2 || c.Durable > c.At {
			t.Errorf("%v: %d flushes between %d and %d", c, flushes, c.Durable, c.At)
		}
		for _, p := range c.Pieces {
			if p.Entry < c.Durable || p.Entry >= c.At || p.From < 0 || p.From >= p.To || int64(p.To)*SectorSize > entries[p.Entry].Length {
				t.Errorf("%v: piece %v was not in flight", c, p)
			}
		}
		id := fmt.Sprint(c.States, moment(c.At))
		if seen[id] {
			t.Errorf("%v is there twice", c)
		}
		seen[id] = true
	}
	again := Enumerate(entries, blank(10), areas, moment, Options{Seed: 3, Want: 300, From: 2})
	if !reflect.DeepEqual(cuts, again) {
		t.Error("the same seed gives other cuts")
	}
	few := Enumerate(entries, blank(10), areas, moment, Options{Seed: 3, Want: 12, From: 2})
	moments := map[int]bool{}
	for _, c := range few {
		moments[moment(c.At)] = true
	}
	if len(few) != 12 || len(moments) < 4 {
		t.Errorf("%d cuts at the moments %v; want 12, from all over the log", len(few), slices.Sorted(maps.Keys(moments)))
	}
}

// TestSubsets finds every subset of the few writes to the first area, among many
// to another.
func TestSubsets(t *testing.T) {
	var entries []writelog.Entry
	for i := range 12 {
		entries = append(entries, write(8+i, 1, 'x'), write(8+i, 1, 'y'), flush)
	}
	for i := range 6 {
		entries = append(entries, write(i, 1, byte('a'+i)), write(20, 4, byte('A'+i)))
	}
	areas := []Area{{0, 8 * SectorSize}, {8 * SectorSize, 16 * SectorSize}}
	found := map[string]bool{}
	cuts := Enumerate(entries, blank(24), areas, always, Options{Seed: 9, Want: 180})
	for _, content := range disksOf(entries, 24, cuts) {
		found[content[:8]] = true
	}
	if len(found) != 64 {
		t.Errorf("%d contents of the first area in %d cuts; want all 64", len(found), len(cuts))
	}
}

// A superblock is never torn, though what is around it is.
func TestTogether(t *testing.T) {
	entries := []writelog.Entry{write(0, 8, 'a'), write(2, 1, 'b'), write(3, 4, 'c')}
	together := Area{2 * SectorSize, 2 * SectorSize}
	cuts := Enumerate(entries, blank(8), []Area{{0, 8 * SectorSize}}, always, Options{Seed: 5, Want: 80, Together: []Area{together}})
	torn := map[string]bool{}
	for _, content := range disksOf(entries, 8, cuts) {
		switch content[2:4] {
		case "..", "aa", "b.", "ba", "bc", ".c", "ac":
		default:
			t.Errorf("the disk has %q", content)
		}
		torn[content[:2]] = true
	}
	if !torn["a."] || !torn[".a"] {
		t.Errorf("of 80 cuts none tears what is before: %v", torn)
	}
}

func TestCheck(t *testing.T) {
	good := []writelog.Entry{write(0, 2, 'a'), flush}
	if err := Check(good, 2*SectorSize); err != nil {
		t.Errorf("Check: %v", err)
	}
	if err := Check(good, SectorSize); err == nil {
		t.Error("Check accepts a write beyond the disk")
	}
}
