package layer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
)

const (
	inputSize = 256 << 10
	maxTail   = 64 << 20 // bytes after the end of an archive
)

var errTail = errors.New("too much follows the end of the archive")

// An input is an archive that is read once. What it gives out is in its buffer,
// so that contents are not copied on their way.
type input struct {
	*bufio.Reader
	large []byte // what does not fit into the buffer
}

func newInput(archive io.Reader) input {
	return input{Reader: bufio.NewReaderSize(archive, inputSize)}
}

// next returns the next n bytes as a source does.
func (in *input) next(n int) (data []byte, err error) {
	if n > inputSize {
		if n > len(in.large) {
			in.large = make([]byte, n)
		}
		read, err := io.ReadFull(in, in.large[:n])
		return in.large[:read], err
	}
	if data, err = in.Peek(n); err == io.EOF && len(data) > 0 {
		err = io.ErrUnexpectedEOF
	}
	in.Discard(len(data)) // cannot fail: they are in the buffer
	return data, err
}

// copy writes the next size bytes to a writer.
func (in *input) copy(ctx context.Context, to io.Writer, size int64) error {
	for left := size; left > 0; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if _, err := in.Peek(1); err == io.EOF {
			return fmt.Errorf("%w: %d of %d bytes", errTruncated, size-left, size)
		} else if err != nil {
			return err
		}
		data, err := in.next(int(min(left, int64(in.Buffered()))))
		if err != nil {
			return err
		}
		if _, err := to.Write(data); err != nil {
			return err
		}
		left -= int64(len(data))
	}
	return nil
}

// tail gives out what follows the end of the archive.
func (in *input) tail(out func([]byte)) error {
	for total := 0; total <= maxTail; {
		_, err := in.Peek(1)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		data, err := in.next(in.Buffered())
		if err != nil {
			return err
		}
		out(data)
		total += len(data)
	}
	return errTail
}
