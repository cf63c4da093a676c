// Command stages measures what must be done with the bytes of an image, each
// thing alone, several layers at once, on all processors:
//
//	go run ./test/stages LAYOUT TAG DIR
//
// It prints a line for each: its name, the megabytes, the wall time and the
// processor time, as of one processor, in seconds. DIR, on the file system of
// interest, is where files are written. hack/bench-apply compares `apply` with
// these.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: stages LAYOUT TAG DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "stages:", err)
		os.Exit(1)
	}
}

// A layer is what a stage works on.
type layer struct{ blob, archive string } // paths

// A stage handles one layer and returns how many bytes that were.
type stage func(layer) (int64, error)

func run(layout, tag, dir string) (err error) {
	dir, err = os.MkdirTemp(dir, "stages-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	layers, err := find(layout, tag, dir)
	if err != nil {
		return err
	}
	// Blobs and archives come from the page cache from here on.
	if _, err := each(layers, unpack); err != nil {
		return err
	}
	w, err := newWriter(dir)
	if err != nil {
		return err
	}
	defer w.dir.Close()
	for _, s := range []struct {
		name string
		run  stage
		end  func() error
	}{
		{"inflate", inflate, nil},
		{"sha256 of blobs", func(l layer) (int64, error) { return hash(l.blob) }, nil},
		{"sha256 of archives", func(l layer) (int64, error) { return hash(l.archive) }, nil},
		{"fs-verity digests of files", strictness, nil},
		{"write archives and sync", w.archive, w.sync},
		{"write files and sync", w.files, w.sync},
	} {
		if err := w.sync(); err != nil {
			return err
		}
		if err := measure(s.name, layers, s.run, s.end); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// find returns the layers of an image; their archives are to be unpacked in dir.
func find(layout, tag, dir string) ([]layer, error) {
	ref, err := oci.ParseReference("oci:" + layout + ":" + tag)
	if err != nil {
		return nil, err
	}
	img, err := oci.Open(context.Background(), ref, oci.Options{})
	if err != nil {
		return nil, err
	}
	defer img.Close()
	var layers []layer
	for i, l := range img.Layers {
		blob := filepath.Join(layout, "blobs", l.Digest.Algorithm().String(), l.Digest.Encoded())
		layers = append(layers, layer{blob, filepath.Join(dir, fmt.Sprintf("%d.tar", i))})
	}
	return layers, nil
}

// each runs a stage for all layers, as many at once as there are processors.
func each(layers []layer, s stage) (int64, error) {
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	var total atomic.Int64
	for _, l := range layers {
		group.Go(func() error {
			n, err := s(l)
			total.Add(n)
			return err
		})
	}
	err := group.Wait()
	return total.Load(), err
}

func measure(name string, layers []layer, s stage, end func() error) error {
	begin, used := time.Now(), processorTime()
	n, err := each(layers, s)
	if err == nil && end != nil {
		err = end()
	}
	if err != nil {
		return err
	}
	fmt.Printf("%-28s  %6d MB  %7.2f s  %7.2f s\n", name, n/1e6, time.Since(begin).Seconds(), (processorTime() - used).Seconds())
	return nil
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // there is no other way to get it wrong
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
