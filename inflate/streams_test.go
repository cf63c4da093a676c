package inflate

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"slices"

	fast "github.com/klauspost/compress/flate"
)

// randomText returns data that compresses in some way or other.
func randomText(r *rand.Rand) []byte {
	n := r.IntN(2000)
	if r.IntN(8) == 0 {
		n = r.IntN(400 << 10)
	}
	out := make([]byte, 0, n)
	letters := 1 + r.IntN(256)
	for len(out) < n {
		switch k := r.IntN(4); {
		case k == 0 || len(out) == 0:
			for range 1 + r.IntN(40) {
				out = append(out, byte(r.IntN(letters)))
			}
		case k == 1:
			out = append(out, bytes.Repeat([]byte{byte(r.IntN(letters))}, r.IntN(400))...)
		default:
			back := 1 + r.IntN(min(len(out), 1<<(1+r.IntN(15))))
			for range 3 + r.IntN(300) {
				out = append(out, out[len(out)-back])
			}
		}
	}
	return out
}

// encoded returns a DEFLATE stream by one of several encoders, with flushes or without.
func encoded(r *rand.Rand, text []byte) []byte {
	var b bytes.Buffer
	var w interface {
		io.WriteCloser
		Flush() error
	}
	var err error
	if level := r.IntN(12) - 2; r.IntN(2) == 0 {
		w, err = flate.NewWriter(&b, level)
	} else {
		w, err = fast.NewWriter(&b, level)
	}
	if err != nil {
		panic(err)
	}
	flushes := r.IntN(3) == 0
	for len(text) > 0 {
		n := 1 + r.IntN(len(text))
		w.Write(text[:n])
		text = text[n:]
		if flushes {
			w.Flush()
		}
	}
	w.Close()
	return b.Bytes()
}

// stream returns a DEFLATE stream and, as far as it is valid, what is in it.
func stream(r *rand.Rand) []byte {
	if r.IntN(2) == 0 {
		return randomDeflate(r)
	}
	return encoded(r, randomText(r))
}

// member wraps a stream as a gzip member with any fields in its header.
func member(r *rand.Rand, deflated []byte) []byte {
	flags := byte(0)
	if r.IntN(2) == 0 {
		flags = byte(r.IntN(256))
	}
	b := []byte{0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 5, 6}
	if flags&flagExtra != 0 {
		n := r.IntN(20)
		if r.IntN(20) == 0 {
			n = r.IntN(1 << 16)
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(n))
		b = append(b, bytes.Repeat([]byte("x"), n)...)
	}
	for _, flag := range []byte{flagName, flagComment} {
		if flags&flag != 0 {
			n := r.IntN(20)
			if r.IntN(20) == 0 {
				n = maxText - 2 + r.IntN(3)
			}
			b = append(append(b, bytes.Repeat([]byte("é"), n)[:n]...), 0)
		}
	}
	if flags&flagHeaderCRC != 0 {
		b = binary.LittleEndian.AppendUint16(b, uint16(crc32.ChecksumIEEE(b))^uint16(r.IntN(20)/19))
	}
	text := byLibrary(deflated, Options{}, false).output
	b = append(b, deflated...)
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(text)^uint32(r.IntN(20)/19))
	return binary.LittleEndian.AppendUint32(b, uint32(len(text))^uint32(r.IntN(30)/29))
}

// randomInput returns a stream or a gzip file, whole or damaged.
func randomInput(r *rand.Rand) []byte {
	var data []byte
	if r.IntN(2) == 0 {
		data = stream(r)
	} else {
		for range 1 + r.IntN(3) {
			data = append(data, member(r, stream(r))...)
		}
		if r.IntN(4) == 0 {
			data = append(data, "\x1f\x8b\x08\x00\x00 and no more"[r.IntN(4):][:r.IntN(10)]...)
		}
	}
	return damaged(r, data)
}

// damaged truncates data, flips a bit of it, or puts another stream into its middle, now
// and then.
func damaged(r *rand.Rand, data []byte) []byte {
	if len(data) == 0 {
		return data
	}
	switch at := r.IntN(len(data)); r.IntN(8) {
	case 0:
		return data[:at]
	case 1:
		return data[:len(data)-r.IntN(min(len(data), 20))]
	case 2:
		data = slices.Clone(data)
		data[at] ^= 1 << r.IntN(8)
	case 3:
		return append(slices.Clone(data[:at]), stream(r)...)
	}
	return data
}
