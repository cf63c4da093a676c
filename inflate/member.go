package inflate

import (
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"
	"io"
)

// What the flags of a member's header say is there (RFC 1952, 2.3.1).
const (
	flagHeaderCRC = 1 << 1
	flagExtra     = 1 << 2
	flagName      = 1 << 3
	flagComment   = 1 << 4
)

// maxText is how long a name or comment may be with the zero that ends it. That is
// compress/gzip's limit.
const maxText = 512

// The parts of a member's header, in their order.
type memberStage int

const (
	memberFixed memberStage = iota
	memberExtraSize
	memberExtra
	memberName
	memberComment
	memberCRC
	memberData // what follows the header
)

// A memberHeader is a header of which a part has been read: input may come byte by byte.
type memberHeader struct {
	stage memberStage
	got   int      // bytes of this part
	buf   [10]byte // what of the part is looked at as a whole
	flags byte
	extra int    // the size of the extra field
	crc   uint32 // of the header so far
	want  uint16 // what the header's checksum has to be
}

// beginMember expects a member's header.
func (z *Reader) beginMember() {
	z.state = stateMember
	z.member = memberHeader{}
	z.members++
	z.bits, z.count = 0, 0
}

// betweenMembers reports whether input may end: after a member, where none has begun.
func (z *Reader) betweenMembers() bool {
	return z.state == stateMember && z.members > 1 && z.member.stage == memberFixed && z.member.got == 0
}

// readMember reads a member's header. It reports whether it wants more input.
func (z *Reader) readMember() bool {
	if z.options.Members == LeadingMembers && z.betweenMembers() {
		if z.end-z.pos < 2 {
			return true
		}
		if z.in[z.pos] != 0x1f || z.in[z.pos+1] != 0x8b {
			z.err = io.EOF
			return false
		}
	}
	m := &z.member
	for z.err == nil && m.stage < memberData {
		if !z.has(m.stage) {
			m.next()
			continue
		}
		if z.err = z.textTooLong(); z.err != nil {
			return false
		}
		if z.pos == z.end {
			return true
		}
		z.readPart()
	}
	if z.err == nil {
		z.beginData()
	}
	return false
}

// has reports whether a header has a part, by its flags.
func (z *Reader) has(part memberStage) bool {
	flags := z.member.flags
	switch part {
	case memberExtraSize:
		return flags&flagExtra != 0
	case memberExtra:
		return flags&flagExtra != 0 && z.member.extra > 0
	case memberName:
		return flags&flagName != 0
	case memberComment:
		return flags&flagComment != 0
	case memberCRC:
		return flags&flagHeaderCRC != 0
	}
	return true
}

func (m *memberHeader) next() {
	m.stage++
	m.got = 0
}

func (z *Reader) textTooLong() error {
	m := &z.member
	if (m.stage == memberName || m.stage == memberComment) && m.got == maxText {
		return gzip.ErrHeader
	}
	return nil
}

// readPart reads what there is of the current part of the header, one byte at least.
func (z *Reader) readPart() {
	m, in := &z.member, z.in[z.pos:z.end]
	switch m.stage {
	case memberFixed:
		if z.readBytes(10) {
			m.flags = m.buf[3]
			if [3]byte(m.buf[:3]) != [3]byte{0x1f, 0x8b, 8} {
				z.err = gzip.ErrHeader
			}
			m.next()
		}
	case memberExtraSize:
		if z.readBytes(2) {
			m.extra = int(binary.LittleEndian.Uint16(m.buf[:]))
			m.next()
		}
	case memberExtra:
		n := min(m.extra-m.got, len(in))
		z.skipHeader(n)
		if m.got == m.extra {
			m.next()
		}
	case memberName, memberComment:
		zero := in[0] == 0
		z.skipHeader(1)
		if zero {
			m.next()
		}
	case memberCRC:
		if m.got == 0 {
			m.want = uint16(m.crc)
		}
		if z.readBytes(2) {
			if binary.LittleEndian.Uint16(m.buf[:]) != m.want {
				z.err = gzip.ErrHeader
			}
			m.next()
		}
	}
}

// readBytes reads what there is of n bytes into the header's buffer, and reports
// whether that is all.
func (z *Reader) readBytes(n int) bool {
	m := &z.member
	k := copy(m.buf[m.got:n], z.in[z.pos:z.end])
	z.skipHeader(k)
	return m.got == n
}

// skipHeader takes n bytes of the header.
func (z *Reader) skipHeader(n int) {
	z.member.crc = crc32.Update(z.member.crc, crc32.IEEETable, z.in[z.pos:z.pos+n])
	z.member.got += n
	z.pos += n
}

// beginData begins the DEFLATE stream of a member: matches do not reach into earlier ones.
func (z *Reader) beginData() {
	z.state = stateBlock
	z.dataStart = z.InputOffset()
	z.low, z.summed = z.out, z.out
	z.crc, z.size = 0, 0
}

// sum has crc and size cover all output.
func (z *Reader) sum() {
	if z.options.Format == Gzip {
		b := z.window[z.summed:z.out]
		z.crc = crc32.Update(z.crc, crc32.IEEETable, b)
		z.size += uint32(len(b))
	}
	z.summed = z.out
}

// endStream follows the last block of a DEFLATE stream.
func (z *Reader) endStream() {
	z.bits, z.count = 0, 0
	if z.options.Format == Deflate {
		z.err = io.EOF
		return
	}
	z.sum()
	z.state = stateTrailer
	z.member.got = 0
}

// readTrailer reads and checks what follows a member's data. It reports whether it wants
// more input.
func (z *Reader) readTrailer() bool {
	m := &z.member
	k := copy(m.buf[m.got:8], z.in[z.pos:z.end])
	m.got += k
	z.pos += k
	if m.got < 8 {
		return true
	}
	crc, size := binary.LittleEndian.Uint32(m.buf[:]), binary.LittleEndian.Uint32(m.buf[4:])
	switch {
	case crc != z.crc || size != z.size:
		z.err = gzip.ErrChecksum
	case z.options.Members == OneMember:
		z.err = io.EOF
	default:
		z.beginMember()
	}
	return false
}

// corrupt returns the error of compress/flate for where the input is now.
func (z *Reader) corrupt() error { return flate.CorruptInputError(z.InputOffset() - z.dataStart) }
