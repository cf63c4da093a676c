package main

import (
	"flag"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	ocitest "github.com/sysupdate-image/sysupdate-image/internal/testing/oci"
)

// layout makes an image in an OCI layout:
//
//	layout [-arch ARCHITECTURE] [-version VERSION] [-created TIME] LAYOUT:TAG DIR...
//
// with a layer for each directory.
func layout(ts *testscript.TestScript, neg bool, args []string) {
	var image ocitest.Image
	flags := flag.NewFlagSet("layout", flag.ContinueOnError)
	flags.StringVar(&image.Architecture, "arch", "", "")
	flags.StringVar(&image.Version, "version", "", "")
	flags.StringVar(&image.Created, "created", "", "")
	ts.Check(flags.Parse(args))
	if args = flags.Args(); neg || len(args) < 2 {
		ts.Fatalf("usage: layout [-arch ARCHITECTURE] [-version VERSION] [-created TIME] LAYOUT:TAG DIR...")
	}
	dir, tag, ok := strings.Cut(args[0], ":")
	if !ok {
		ts.Fatalf("layout %s: no tag", args[0])
	}
	for _, d := range args[1:] {
		archive, err := ocitest.TarDir(ts.MkAbs(d))
		ts.Check(err)
		image.Layers = append(image.Layers, archive)
	}
	ts.Check(ocitest.WriteLayout(ts.MkAbs(dir), tag, image))
}
