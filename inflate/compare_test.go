package inflate

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing/iotest"
)

// A result is what came of a stream.
type result struct {
	output   []byte
	err      error
	consumed int64
}

// A counted source is a flate.Reader, from which compress/flate takes no more than it needs.
type counted struct {
	*bufio.Reader
	in *bytes.Reader
}

func (c counted) consumed() int64 {
	return c.in.Size() - int64(c.in.Len()) - int64(c.Buffered())
}

var errSource = errors.New("the source broke")

// broken returns a reader of data that ends with errSource instead of io.EOF, if it breaks.
func broken(in io.Reader, breaks bool) io.Reader {
	if breaks {
		return io.MultiReader(in, iotest.ErrReader(errSource))
	}
	return in
}

// byLibrary reads a stream as Go's own packages do.
func byLibrary(data []byte, o Options, breaks bool) result {
	in := bytes.NewReader(data)
	src := counted{bufio.NewReader(broken(in, breaks)), in}
	var z io.Reader
	if o.Format == Deflate {
		z = flate.NewReader(src)
	} else {
		members, err := gzip.NewReader(src)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF // there has to be one member
		}
		if err != nil {
			return result{nil, err, src.consumed()}
		}
		members.Multistream(o.Members == AllMembers)
		z = members
		if o.Members == LeadingMembers {
			z = &leading{members, src.Reader}
		}
	}
	var out bytes.Buffer
	_, err := io.Copy(&out, struct{ io.Reader }{z})
	if err == nil {
		err = io.EOF
	}
	return result{out.Bytes(), err, src.consumed()}
}

// leading reads members as long as there are.
type leading struct {
	*gzip.Reader
	in *bufio.Reader
}

func (l *leading) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if n > 0 && err == io.EOF {
		return n, nil // it comes again
	}
	if err != io.EOF {
		return n, err
	}
	head, err := l.in.Peek(2)
	if len(head) < 2 || head[0] != 0x1f || head[1] != 0x8b {
		if err == nil {
			err = io.EOF
		}
		return 0, err
	}
	if err := l.Reset(l.in); err != nil {
		return 0, noEOF(err)
	}
	l.Multistream(false)
	return 0, nil
}

// byUs reads a stream with z, from a source that gives as much at once as its kind says.
func byUs(z *Reader, data []byte, o Options, breaks bool, kind int, r *rand.Rand) result {
	var src io.Reader = bytes.NewReader(data)
	switch kind {
	case 1:
		src = iotest.OneByteReader(src)
	case 2:
		src = &pieces{src, r}
	case 3:
		src = iotest.DataErrReader(src)
	}
	z.Reset(broken(src, breaks), o)
	var out bytes.Buffer
	for {
		b, err := z.Next()
		out.Write(b)
		if err != nil {
			_, again := z.Next()
			if again != err {
				err = fmt.Errorf("%v, and then %v", err, again)
			}
			return result{out.Bytes(), err, z.InputOffset()}
		}
	}
}

// pieces reads as little as it likes.
type pieces struct {
	io.Reader
	r *rand.Rand
}

func (p *pieces) Read(b []byte) (int, error) {
	return p.Reader.Read(b[:min(len(b), p.r.IntN(40))])
}

// differ says in what two results differ, "" if in nothing.
func differ(want, got result) string {
	switch {
	case !bytes.Equal(want.output, got.output):
		n := 0
		for n < min(len(want.output), len(got.output)) && want.output[n] == got.output[n] {
			n++
		}
		return fmt.Sprintf("%d bytes of output (%v), want %d (%v): they differ from byte %d",
			len(got.output), got.err, len(want.output), want.err, n)
	case want.err != got.err:
		return fmt.Sprintf("error %v, want %v", got.err, want.err)
	case want.consumed != got.consumed:
		return fmt.Sprintf("%d bytes consumed, want %d (%v)", got.consumed, want.consumed, want.err)
	}
	return ""
}

// compare reads a stream in all ways, by the library and by us.
func compare(z *Reader, data []byte, r *rand.Rand) error {
	for _, o := range []Options{
		{}, {Format: Gzip}, {Format: Gzip, Members: LeadingMembers}, {Format: Gzip, Members: OneMember},
	} {
		breaks := r.IntN(8) == 0
		want := byLibrary(data, o, breaks)
		if len(want.output) > 64<<20 {
			continue
		}
		for kind := range 4 {
			if diff := differ(want, byUs(z, data, o, breaks, kind, r)); diff != "" {
				return fmt.Errorf("%+v, source %d, breaks %v: %s", o, kind, breaks, diff)
			}
			if o.Format == Gzip && want.err == gzip.ErrHeader && want.consumed < 11 {
				break
			}
		}
	}
	return nil
}
