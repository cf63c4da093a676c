package writelog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"reflect"
	"testing"
)

// A request is an entry as it is written to a log.
type request struct {
	sector, count, flags, length uint64
	data                         string
}

// encode writes a log as QEMU does, with sectors of a size.
func encode(sector int, requests ...request) []byte {
	var out bytes.Buffer
	le := binary.LittleEndian
	put := func(values ...uint64) {
		block := make([]byte, sector)
		for i, v := range values {
			le.PutUint64(block[8*i:], v)
		}
		out.Write(block)
	}
	put(magic, version, uint64(len(requests)), uint64(sector))
	for _, r := range requests {
		put(r.sector, r.count, r.flags, r.length)
		out.WriteString(r.data)
	}
	return out.Bytes()
}

func sectorOf(b byte, size int) string { return string(bytes.Repeat([]byte{b}, size)) }

func TestParse(t *testing.T) {
	for _, size := range []int{512, 4096} {
		log := encode(size,
			request{sector: 3, count: 2, data: sectorOf('a', 2*size)},
			request{flags: uint64(Flush)},
			request{sector: 9, count: 1, flags: uint64(FUA), data: sectorOf('b', size)},
			request{sector: 1, count: 4, flags: uint64(Discard)},
			request{flags: uint64(Mark), length: 5},
			request{sector: 0, count: 1, data: sectorOf('c', size)},
		)
		got, err := Parse(log)
		s := int64(size)
		want := []Entry{
			{Offset: 3 * s, Length: 2 * s, Data: []byte(sectorOf('a', 2*size))},
			{Flags: Flush, Data: []byte{}},
			{Flags: FUA, Offset: 9 * s, Length: s, Data: []byte(sectorOf('b', size))},
			{Flags: Discard, Offset: s, Length: 4 * s},
			{Flags: Mark, Data: make([]byte, 5)},
			{Length: s, Data: []byte(sectorOf('c', size))},
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Parse with sectors of %d = %v, %v; want %v", size, got, err, want)
		}
		var writes []bool
		for _, e := range got {
			writes = append(writes, e.IsWrite())
		}
		if want := []bool{true, false, true, true, false, true}; !reflect.DeepEqual(writes, want) {
			t.Errorf("IsWrite = %v; want %v", writes, want)
		}
	}
}

// A log that ends early keeps what is whole, and says so.
func TestParseTruncated(t *testing.T) {
	log := encode(512, request{sector: 1, count: 1, data: sectorOf('a', 512)}, request{sector: 2, count: 1, data: sectorOf('b', 512)})
	for n := range len(log) {
		got, err := Parse(log[:n])
		if !errors.Is(err, ErrTruncated) {
			t.Fatalf("Parse of %d bytes: error %v; want ErrTruncated", n, err)
		}
		if want := min(1, max(0, (n-512)/1024)); len(got) != want {
			t.Fatalf("Parse of %d bytes returns %d entries; want %d", n, len(got), want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := encode(512, request{count: 1, data: sectorOf('a', 512)})
	change := func(offset int, value uint64) []byte {
		log := bytes.Clone(good)
		binary.LittleEndian.PutUint64(log[offset:], value)
		return log
	}
	for name, log := range map[string][]byte{
		"magic":            change(0, 1),
		"version":          change(8, 2),
		"too many entries": change(16, 1<<40),
		"sector size 0":    change(24, 0),
		"odd sector size":  change(24, 513),
		"flags":            change(512+16, 1<<40),
		"sector":           change(512, 1<<63),
		"count":            change(512+8, 1<<62),
	} {
		if got, err := Parse(log); err == nil || errors.Is(err, ErrTruncated) {
			t.Errorf("%s: Parse = %v, %v; want another error", name, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(encode(512, request{sector: 1, count: 1, data: sectorOf('a', 512)}, request{flags: 1}))
	f.Add(encode(512, request{flags: uint64(Mark), length: 600, data: sectorOf('m', 1024)}))
	f.Fuzz(func(t *testing.T, log []byte) {
		entries, _ := Parse(log)
		size := 0
		for _, e := range entries {
			size += len(e.Data)
			if e.Data != nil && e.IsWrite() && e.Flags&Discard == 0 && int64(len(e.Data)) != e.Length {
				t.Errorf("entry of %d bytes has %d", e.Length, len(e.Data))
			}
		}
		if size > len(log) {
			t.Errorf("entries have %d bytes, the log only %d", size, len(log))
		}
	})
}

func TestMap(t *testing.T) {
	name := t.TempDir() + "/log"
	log := encode(512, request{sector: 3, count: 1, data: sectorOf('a', 512)}, request{flags: uint64(Flush)})
	if err := os.WriteFile(name, log, 0o644); err != nil {
		t.Fatal(err)
	}
	want, err := Parse(log)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Map(name); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Map = %v, %v; want %v", got, err, want)
	}
	if got, err := Count(name); err != nil || got != 2 {
		t.Errorf("Count = %d, %v; want 2", got, err)
	}
}
