package oci

import (
	"bufio"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"

	"github.com/sysupdate-image/sysupdate-image/inflate"
)

// A Gzip is a decoder for layers in the gzip format.
type Gzip string

// The decoders. All take the same files. The empty string is the built-in one.
const (
	GzipBuiltIn Gzip = "built-in"
	GzipLibrary Gzip = "library"
)

// GzipVariable is the environment variable that names the decoder.
const GzipVariable = "SYSUPDATE_IMAGE_GZIP"

// Check returns an error if there is no such decoder.
func (g Gzip) Check() error {
	switch g {
	case "", GzipBuiltIn, GzipLibrary:
		return nil
	}
	return fmt.Errorf("invalid gzip decoder %q in %s: want %q or %q", string(g), GzipVariable, GzipBuiltIn, GzipLibrary)
}

// UseGzip makes g the decoder for layers, unless the options of the image name one.
func (i *Image) UseGzip(g Gzip) {
	if i.options.Gzip == "" {
		i.options.Gzip = g
	}
}

// open returns a reader of all members of the gzip file in r. It ends, as gzip(1) does,
// where something else follows.
func (g Gzip) open(r *bufio.Reader) (io.ReadCloser, error) {
	if g != GzipLibrary {
		return io.NopCloser(inflate.NewReader(r, inflate.Options{Format: inflate.Gzip, Members: inflate.LeadingMembers})), nil
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return &gzipMembers{z, r}, nil
}

// gzipMembers reads all members of a gzip file with the library.
type gzipMembers struct {
	*gzip.Reader
	blob *bufio.Reader
}

// Close reports nothing: what was wrong with the file, Read has reported.
func (g *gzipMembers) Close() error {
	g.Reader.Close()
	return nil
}

func (g *gzipMembers) Read(p []byte) (int, error) {
	for {
		n, err := g.Reader.Read(p)
		if err != io.EOF || n > 0 {
			// EOF comes again with the next read.
			if err == io.EOF {
				err = nil
			}
			return n, err
		}
		head, err := g.blob.Peek(2)
		if compressionMember := len(head) == 2 && head[0] == 0x1f && head[1] == 0x8b; !compressionMember {
			if err == nil {
				err = io.EOF
			}
			return 0, err
		}
		if err := g.Reader.Reset(g.blob); err != nil {
			return 0, err
		}
		g.Reader.Multistream(false)
	}
}
