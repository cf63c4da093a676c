package oci

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sysupdate-image/sysupdate-image/internal/format/cancel"
)

// The library inflates the layers of a docker-archive by itself, first all of them to
// learn their sizes, whatever they come to and whatever the context says. So each is
// inflated here before, within the limits that layers from elsewhere have.

// checkDockerFile looks at a file of a docker-archive, of which any may be a layer.
func checkDockerFile(ctx context.Context, h *tar.Header, content io.Reader, decoder Gzip) error {
	if isSparse(h) {
		return errors.New("is a sparse file, which no layer is")
	}
	if h.Typeflag != tar.TypeReg {
		return nil
	}
	in := bufio.NewReaderSize(cancel.Reader(ctx, content), 256<<10)
	if head, _ := in.Peek(6); compression(head) == "" {
		return nil
	}
	out, err := decompress(ctx, in, newTurn(), decoder)
	if err != nil {
		return fmt.Errorf("cannot inflate: %w", err)
	}
	defer out.Close()
	buf := make([]byte, 256<<10)
	for n := int64(0); ; {
		k, err := out.Read(buf)
		n += int64(k)
		if tooLarge := checkInflated(n, h.Size); tooLarge != nil {
			return tooLarge
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot inflate: %w", err)
		}
	}
}

// isSparse reports whether a file in a tar archive has holes, in any of the forms in
// which GNU tar writes them: a few bytes then stand for any size.
func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for name := range h.PAXRecords {
		if strings.HasPrefix(name, "GNU.sparse.") {
			return true
		}
	}
	return false
}
