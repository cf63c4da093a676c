package inflate

import (
	"bufio"
	"bytes"
	stdgzip "compress/gzip"
	"io"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
)

// decoders read a gzip file each in its way, as layers are read: by pieces of 256 KiB.
var decoders = []struct {
	name string
	open func(io.Reader) (io.Reader, error)
}{
	{"inflate", func(r io.Reader) (io.Reader, error) { return NewReader(r, Options{Format: Gzip}), nil }},
	{"klauspost", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
	{"compress-gzip", func(r io.Reader) (io.Reader, error) { return stdgzip.NewReader(r) }},
}

const piece = 256 << 10

// decompress reads all of a gzip file with a decoder, and returns how much is in it.
func decompress(b *testing.B, open func(io.Reader) (io.Reader, error), data []byte) int64 {
	z, err := open(bufio.NewReaderSize(bytes.NewReader(data), piece))
	if err != nil {
		b.Fatal(err)
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{z}, make([]byte, piece))
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// BenchmarkGzip decompresses the file that INFLATE_BENCH names, with each decoder in turn,
// on one core. It prints the medians of their processor times as ratios to ours.
func BenchmarkGzip(b *testing.B) {
	name := os.Getenv("INFLATE_BENCH")
	if name == "" {
		b.Skip("INFLATE_BENCH names no gzip file")
	}
	data, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	size := int64(0)
	times := make([][]time.Duration, len(decoders))
	for b.Loop() {
		for i, d := range decoders {
			begin := processorTime(b)
			size = decompress(b, d.open, data)
			times[i] = append(times[i], processorTime(b)-begin)
		}
	}
	b.ReportMetric(0, "ns/op")
	for i, d := range decoders {
		b.ReportMetric(float64(size)/1e6/median(times[i]).Seconds(), d.name+"-MB/s")
		if i > 0 {
			b.ReportMetric(median(times[i]).Seconds()/median(times[0]).Seconds(), d.name+"/inflate")
		}
	}
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// processorTime returns how much processor time this process has used.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
