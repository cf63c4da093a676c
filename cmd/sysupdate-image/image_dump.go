package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/format/printable"
	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
)

const aboutImageDump = `Print every file of IMAGE with all its metadata, one a line, as composefs-dump(5) has
it. image build --from-dump makes the same image of that again.` + aboutIMAGE

func (s *session) imageDumpCommand() *cobra.Command {
	var f struct {
		imageFlags
		formFlags
		algorithm string
	}
	cmd := &cobra.Command{
		Use:   "dump IMAGE",
		Short: "Print the files of an image as composefs-dump(5)",
		Long:  aboutImageDump,
		Example: `  sysupdate-image image dump old.cfs
  sysupdate-image image dump --boot registry.example.org/os:stable > os.dump`,
		Args:              needArgs(cobra.ExactArgs(1)),
		ValidArgsFunction: s.completeImages(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			alg, err := parseAlgorithm(f.algorithm)
			if err != nil {
				return err
			}
			return s.withImage(cmd.Context(), args[0], &f.imageFlags, alg, func(img *source.Image) error {
				root, err := treeOf(cmd.Context(), img, f.form())
				if err != nil {
					return err
				}
				return tree.WriteDump(s.out, root)
			})
		},
	}
	cmd.Flags().StringVar(&f.algorithm, "algorithm", "sha512", "of the digests that have to be computed: `sha256|sha512`")
	completeValues(cmd, "algorithm", algorithmNames...)
	f.formFlags.add(cmd)
	f.imageFlags.add(cmd)
	return cmd
}

const aboutImageLs = `List the files in the directory PATH of IMAGE, or the file PATH, as ls -l does: type
and permissions, user and group by number, size, modification time (UTC) and name.
PATH is / if it is not given; links are not followed.` + aboutIMAGE

func (s *session) imageLsCommand() *cobra.Command {
	var f struct {
		imageFlags
		formFlags
		recursive bool
	}
	cmd := &cobra.Command{
		Use:   "ls IMAGE [PATH]",
		Short: "List files of an image",
		Long:  aboutImageLs,
		Example: `  sysupdate-image image ls registry.example.org/os:stable /usr/lib/modules
  sysupdate-image image ls -R old.cfs /etc
  sysupdate-image image ls before-migration /etc`,
		Args:              needArgs(cobra.RangeArgs(1, 2)),
		ValidArgsFunction: s.completeImages(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "/"
			if len(args) == 2 {
				path = "/" + strings.Trim(args[1], "/")
			}
			return s.withImage(cmd.Context(), args[0], &f.imageFlags, 0, func(img *source.Image) error {
				root, err := treeOf(cmd.Context(), img, f.form())
				if err != nil {
					return err
				}
				n := root.Lookup(path)
				if n == nil {
					return fmt.Errorf("%s has no %s", img.Name, path)
				}
				return list(s.out, path, n, f.recursive)
			})
		},
	}
	cmd.Flags().BoolVarP(&f.recursive, "recursive", "R", false, "list also what is in directories, by paths")
	f.formFlags.add(cmd)
	f.imageFlags.add(cmd)
	return cmd
}

// list writes a line for the file n, or for each file in the directory n.
func list(w io.Writer, path string, n *tree.Node, recursive bool) error {
	out := bufio.NewWriter(w)
	switch {
	case !n.IsDir():
		fmt.Fprintln(out, listLine(path, n))
	case recursive:
		base := strings.TrimSuffix(path, "/")
		n.Walk(func(p string, m *tree.Node) {
			fmt.Fprintln(out, listLine(cmp.Or(strings.TrimSuffix(base+p, "/"), "/"), m))
		})
	default:
		for _, e := range n.Entries() {
			fmt.Fprintln(out, listLine(e.Name, e.Node))
		}
	}
	return out.Flush()
}

func listLine(name string, n *tree.Node) string {
	size := fmt.Sprint(n.Size)
	switch {
	case n.Type() == tree.TypeChar || n.Type() == tree.TypeBlock:
		size = fmt.Sprintf("%d,%4d", n.Rdev>>8&0xfff, n.Rdev&0xff|n.Rdev>>12&0xfff00)
	case n.IsSymlink():
		size = fmt.Sprint(len(n.Target))
	case n.IsDir():
		size = "-"
	}
	mtime := time.Unix(n.Mtime.Sec, int64(n.Mtime.Nsec)).UTC().Format("2006-01-02 15:04:05")
	line := fmt.Sprintf("%s %5d %5d %11s %s %s", modeText(n), n.UID, n.GID, size, mtime, shown(name))
	if n.IsSymlink() {
		line += " -> " + shown(n.Target)
	}
	return line
}

// modeText returns type and permissions as ls(1) writes them.
func modeText(n *tree.Node) string {
	types := map[uint32]byte{
		tree.TypeDir: 'd', tree.TypeSymlink: 'l', tree.TypeChar: 'c',
		tree.TypeBlock: 'b', tree.TypeFIFO: 'p', tree.TypeSocket: 's',
	}
	text := []byte("-rwxrwxrwx")
	text[0] = cmp.Or(types[n.Type()], '-')
	for i := range 9 {
		if n.Mode>>(8-i)&1 == 0 {
			text[1+i] = '-'
		}
	}
	for _, special := range []struct {
		bit       uint32
		at        int
		with, not byte // with the permission to execute, and without
	}{{0o4000, 3, 's', 'S'}, {0o2000, 6, 's', 'S'}, {0o1000, 9, 't', 'T'}} {
		if n.Mode&special.bit == 0 {
			continue
		}
		if text[special.at] == 'x' {
			text[special.at] = special.with
		} else {
			text[special.at] = special.not
		}
	}
	return string(text)
}

// shown returns a name that does no more to a terminal than be seen.
func shown(name string) string { return printable.Name(name) }
