package xz

import (
	"encoding/binary"
	"fmt"
)

// decode decompresses LZMA2 data into out, which it has to fill. LZMA2 is a series of
// chunks: compressed, with or without new probabilities, or not compressed.
func decode(in, out []byte) error {
	d := &decoder{out: out, needDict: true, needProps: true}
	for {
		if len(in) == 0 {
			return fmt.Errorf("%w: no end", ErrCorrupt)
		}
		control := in[0]
		if control == 0 {
			break
		}
		n, err := d.chunk(control, in)
		if err != nil {
			return err
		}
		in = in[n:]
	}
	if d.pos != len(out) || len(in) > 1 {
		return fmt.Errorf("%w: size", ErrCorrupt)
	}
	return nil
}

// chunk decompresses the next chunk and returns its size.
func (d *decoder) chunk(control byte, in []byte) (int, error) {
	if control >= 0xe0 || control == 1 {
		d.needProps, d.needDict = true, false
		d.dict = d.pos
	} else if d.needDict {
		return 0, fmt.Errorf("%w: no new dictionary", ErrCorrupt)
	}
	if control >= 0x80 {
		return d.compressed(control, in)
	}
	if control > 2 || len(in) < 3 {
		return 0, fmt.Errorf("%w: chunk %#x", ErrCorrupt, control)
	}
	size := int(binary.BigEndian.Uint16(in[1:])) + 1
	if size > len(in)-3 || size > len(d.out)-d.pos {
		return 0, fmt.Errorf("%w: size of a chunk", ErrCorrupt)
	}
	d.pos += copy(d.out[d.pos:], in[3:3+size])
	return 3 + size, nil
}

// compressed decompresses a compressed chunk and returns its size.
func (d *decoder) compressed(control byte, in []byte) (int, error) {
	head := 5
	if control >= 0xc0 {
		head = 6
	}
	if len(in) < head {
		return 0, fmt.Errorf("%w: chunk %#x", ErrCorrupt, control)
	}
	size := int(control&0x1f)<<16 + int(binary.BigEndian.Uint16(in[1:])) + 1
	packed := int(binary.BigEndian.Uint16(in[3:])) + 1
	if packed > len(in)-head || size > len(d.out)-d.pos {
		return 0, fmt.Errorf("%w: size of a chunk", ErrCorrupt)
	}
	switch {
	case control >= 0xc0:
		if err := d.properties(in[5]); err != nil {
			return 0, err
		}
	case d.needProps:
		return 0, fmt.Errorf("%w: no properties", ErrCorrupt)
	}
	if control >= 0xa0 {
		d.reset()
	}
	if !d.rc.start(in[head : head+packed]) {
		return 0, fmt.Errorf("%w: start of a chunk", ErrCorrupt)
	}
	return head + packed, d.symbols(d.pos + size)
}

// properties takes the properties of LZMA, (pb * 5 + lp) * 9 + lc.
func (d *decoder) properties(b byte) error {
	if b >= 9*5*5 {
		return fmt.Errorf("%w: properties", ErrCorrupt)
	}
	lc, lp, pb := uint(b%9), uint(b/9%5), uint(b/45)
	if lc+lp > 4 {
		return fmt.Errorf("%w: properties", ErrCorrupt)
	}
	d.lc, d.lpMask, d.pbMask = lc, 1<<lp-1, 1<<pb-1
	d.needProps = false
	return nil
}
