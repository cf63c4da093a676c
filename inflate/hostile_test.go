package inflate

import (
	"bytes"
	"compress/flate"
	"io"
	"slices"
	"testing"
	"testing/iotest"
	"time"
)

// hostile returns streams that make a decoder do much for each byte of its input.
func hostile() map[string][]byte {
	const size = 64 << 10
	fill := func(block func(w *writer, i int)) []byte {
		w := new(writer)
		for i := 0; len(w.out) < size; i++ {
			block(w, i)
		}
		w.put(1, 1) // the last block
		w.put(1, 2)
		w.put(0, 7)
		return w.out
	}
	fixed := func(w *writer) {
		w.put(0, 1)
		w.put(1, 2)
		w.put(0, 7)
	}
	return map[string][]byte{
		"tiny dynamic blocks":       fill(func(w *writer, _ int) { tinyDynamic(w, false) }),
		"tiny dynamic, long codes":  fill(func(w *writer, _ int) { tinyDynamic(w, true) }),
		"tiny fixed blocks":         fill(func(w *writer, _ int) { fixed(w) }),
		"empty stored blocks":       fill(func(w *writer, _ int) { w.put(0, 3); w.free = 0; w.put(0xffff0000, 32) }),
		"fixed and dynamic in turn": fill(func(w *writer, i int) { fixed(w); tinyDynamic(w, false) }),
		"long codes":                longCodes(size),
	}
}

// tinyDynamic writes a dynamic block with nothing but its end, of one code or with the
// longest codes there are.
func tinyDynamic(w *writer, long bool) {
	lengths := make([]uint8, 257+1)
	lengths[endOfBlock], lengths[257] = 1, 1
	if long {
		for n := range 15 {
			lengths[n] = uint8(n + 1)
		}
		lengths[endOfBlock], lengths[257] = 15, 1
	}
	w.put(0, 1)
	w.put(2, 2)
	writeDynamic(w, lengths, 257)
	makeHuffman(lengths[:257]).put(w, endOfBlock)
}

// writeDynamic writes the header of a dynamic block: how many codes there are, and their
// lengths, with five bits each for the lengths.
func writeDynamic(w *writer, lengths []uint8, numLit int) {
	w.put(uint(numLit-257), 5)
	w.put(uint(len(lengths)-numLit-1), 5)
	code := make([]uint8, 19)
	for s := range code {
		code[s] = 5
		if s < 13 {
			code[s] = 4
		}
	}
	w.put(15, 4)
	for _, s := range lengthOrder {
		w.put(uint(code[s]), 3)
	}
	h := makeHuffman(code)
	for i := 0; i < len(lengths); {
		same := 1
		for i+same < len(lengths) && lengths[i+same] == lengths[i] && same < 138 {
			same++
		}
		if lengths[i] == 0 && same >= 11 {
			h.put(w, 18)
			w.put(uint(same-11), 7)
		} else {
			same = 1
			h.put(w, int(lengths[i]))
		}
		i += same
	}
}

// longCodes writes one block of codes that all have a second level.
func longCodes(size int) []byte {
	lengths := make([]uint8, 257+1)
	for n := range 14 {
		lengths[n] = uint8(n + 1)
	}
	lengths[14], lengths[endOfBlock], lengths[257] = 15, 15, 1
	w := new(writer)
	w.put(1, 1)
	w.put(2, 2)
	writeDynamic(w, lengths, 257)
	h := makeHuffman(lengths[:257])
	for i := 0; len(w.out) < size; i++ {
		h.put(w, 11+i%4)
	}
	h.put(w, endOfBlock)
	return w.out
}

// zeros returns a gigantic run in little input.
func zeros() []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 9)
	if err != nil {
		panic(err)
	}
	w.Write(make([]byte, 32<<20))
	w.Close()
	return b.Bytes()
}

// BenchmarkHostile has the processor time of hostile streams as a ratio to that of
// compress/flate, with whole reads and byte by byte.
func BenchmarkHostile(b *testing.B) {
	streams := hostile()
	streams["zeros"] = zeros()
	for name, data := range streams {
		for _, dripping := range []bool{false, true} {
			b.Run(name+map[bool]string{true: ", byte by byte"}[dripping], func(b *testing.B) {
				compareTimes(b, data, dripping)
			})
		}
	}
}

func compareTimes(b *testing.B, data []byte, dripping bool) {
	z := new(Reader)
	library := flate.NewReader(nil)
	src := func() io.Reader {
		if dripping {
			return iotest.OneByteReader(bytes.NewReader(data))
		}
		return bytes.NewReader(data)
	}
	var ours, theirs []time.Duration
	for b.Loop() {
		begin := time.Now()
		z.Reset(src(), Options{})
		if _, err := io.Copy(io.Discard, z); err != nil {
			b.Fatal(err)
		}
		middle := time.Now()
		if err := library.(flate.Resetter).Reset(src(), nil); err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, library); err != nil {
			b.Fatal(err)
		}
		ours, theirs = append(ours, middle.Sub(begin)), append(theirs, time.Since(middle))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(slices.Min(ours))/float64(len(data)), "ns/byte")
	b.ReportMetric(float64(slices.Min(ours))/float64(slices.Min(theirs)), "of-flate")
}
