package zstdframe

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// compressed returns frames as several encoders write them.
func compressed(f interface{ Fatal(...any) }) [][]byte {
	var all [][]byte
	content := bytes.Repeat([]byte("content "), 100_000)
	for _, options := range [][]zstd.EOption{
		{zstd.WithSingleSegment(true)}, {zstd.WithEncoderCRC(false)}, {zstd.WithWindowSize(1 << 20)}, {zstd.WithEncoderLevel(zstd.SpeedBestCompression)},
	} {
		encoder, err := zstd.NewWriter(nil, options...)
		if err != nil {
			f.Fatal(err)
		}
		for _, size := range []int{1, 300, 70_000, len(content)} {
			all = append(all, encoder.EncodeAll(content[:size], nil))
		}
	}
	return append(all, []byte("\x5f\x2a\x4d\x18\x03\x00\x00\x00abc"))
}

// A frame ends where the sizes in its headers say.
func TestWalk(t *testing.T) {
	for _, frame := range compressed(t) {
		if got, err := length(frame); err != nil || got != int64(len(frame)) {
			t.Errorf("frame %x… of %d bytes: length %d, %v", frame[:6], len(frame), got, err)
		}
		for n := range min(len(frame), MaxHeader) {
			if _, err := ParseHeader(frame[:n]); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("first %d bytes: %v; want io.ErrUnexpectedEOF", n, err)
			}
		}
	}
	if _, err := ParseHeader([]byte("\x1f\x8b\x08\x00\x00")); !errors.Is(err, ErrFormat) {
		t.Errorf("gzip: %v; want ErrFormat", err)
	}
	if _, err := ParseBlock([3]byte{6, 0, 0}); !errors.Is(err, ErrFormat) {
		t.Errorf("reserved block: %v; want ErrFormat", err)
	}
}

// length returns the length of the frame that b is.
func length(b []byte) (int64, error) {
	h, err := ParseHeader(b)
	if err != nil || h.Skippable {
		return h.Size, err
	}
	at := h.Size
	for {
		if at+BlockHeader > int64(len(b)) {
			return at, io.ErrUnexpectedEOF
		}
		block, err := ParseBlock([BlockHeader]byte(b[at:]))
		if err != nil {
			return at, err
		}
		if at += block.Size; block.Last {
			break
		}
	}
	if h.Checksum {
		at += 4
	}
	return at, nil
}

// FuzzParseHeader compares with the reader of the library that inflates.
func FuzzParseHeader(f *testing.F) {
	for _, frame := range compressed(f) {
		f.Add(frame[:min(len(frame), MaxHeader)])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := ParseHeader(data)
		var want zstd.Header
		if err != nil || want.Decode(data) != nil {
			return
		}
		size := int64(want.HeaderSize)
		if want.Skippable {
			size += int64(want.SkippableSize)
		}
		window := want.WindowSize
		if want.SingleSegment {
			window = want.FrameContentSize
		}
		if got.Size != size || got.Skippable != want.Skippable || !got.Skippable && (got.Window != window || got.Checksum != want.HasCheckSum) {
			t.Errorf("header %x is %+v; the library reads %+v", data, got, want)
		}
	})
}
