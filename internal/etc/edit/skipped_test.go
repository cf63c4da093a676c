package edit

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/composefs/verity"
	"github.com/sysupdate-image/sysupdate-image/internal/etc/merge"
	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/digest"
	"github.com/sysupdate-image/sysupdate-image/internal/format/limits"
	"github.com/sysupdate-image/sysupdate-image/internal/testing/ns"
)

// TestSkipped: what is in a directory that was not read is neither shown nor lost.
func TestSkipped(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		r := newRig(t, deployment.EtcBind)
		r.must(os.Mkdir(r.etc+"/mine.d", 0o755))
		for _, dir := range []string{"/d/", "/mine.d/"} {
			first := r.etc + dir + "first"
			r.must(os.WriteFile(first, nil, 0o644))
			for i := range limits.EtcFiles.Value {
				r.must(os.Link(first, fmt.Sprint(r.etc, dir, i))) // made sooner than a file
			}
			r.must(os.Chown(r.etc+dir, 1000, 1000))
		}
		e := r.open()
		dir, err := os.Open(r.etc)
		r.must(err)
		defer dir.Close()
		e.Local, err = merge.ReadDir(t.Context(), dir, digest.SHA512, nil)
		r.must(err)
		merge.FillSkipped(e.Local, e.Base)
		changes, err := e.Changes(t.Context())
		r.must(err)
		if len(changes) != 2 || len(e.Warnings()) != 2 || !strings.HasPrefix(e.Warnings()[0], "/etc/d: local changes") {
			t.Errorf("%d changes and the warnings %q; want the owner of /etc/d, the directory /etc/mine.d and a warning for each", len(changes), e.Warnings())
		}
		for _, path := range []string{"/etc/d", "/etc/d/x", "/etc/d/sub"} {
			if _, err := e.PlanReset(t.Context(), []string{path}, false); err == nil || !strings.Contains(err.Error(), "cannot reset: /etc/d has too many files") {
				t.Errorf("PlanReset(%s) = %v; want an error for /etc/d", path, err)
			}
		}
		// One that the image does not have is removed, as long as nothing else is lost.
		steps, err := e.PlanReset(t.Context(), []string{"/etc/mine.d"}, false)
		r.must(err)
		if err := e.applyToTree(t.Context(), steps); err == nil || !strings.Contains(err.Error(), "/etc/d has too many files") {
			t.Errorf("all of /etc written anew: %v; want an error for /etc/d", err)
		}
		r.must(e.Apply(t.Context(), steps))
		if _, err := os.Lstat(r.etc + "/mine.d"); !os.IsNotExist(err) {
			t.Errorf("/etc/mine.d is still there: %v", err)
		}
	})
}

// TestLargeFile: a file that is too large to be copied is compared all the same.
func TestLargeFile(t *testing.T) {
	ns.Run(t, func(t *testing.T) {
		r := newRig(t, deployment.EtcBind)
		for _, name := range []string{"/large", "/same"} {
			for _, dir := range []string{r.dir + "/image", r.etc} {
				r.must(os.WriteFile(dir+name, []byte("image"), 0o644))
				r.must(os.Truncate(dir+name, limits.EtcFile.Value+1))
			}
		}
		f, err := os.OpenFile(r.etc+"/large", os.O_WRONLY, 0)
		r.must(err)
		_, err = f.WriteString("local")
		r.must(errors.Join(err, f.Close()))
		e := r.open()
		r.must(addDigests(e.Base, e.open))
		changes, err := e.Changes(t.Context())
		r.must(err)
		if len(changes) != 1 || changes[0].String() != "~ /etc/large  content" {
			t.Errorf("Changes = %v; want the content of /etc/large", changes)
		}
	})
}

// addDigests gives a tree the digests that it has in an image.
func addDigests(root *tree.Node, open merge.Opener) error {
	var errs []error
	root.Walk(func(_ string, n *tree.Node) {
		if !n.IsRegular() || !n.Digest.IsZero() || n.Inline != nil || n.Size == 0 {
			return
		}
		content, err := open(n)
		if err != nil {
			errs = append(errs, err)
			return
		}
		n.Digest, _, err = verity.SumReader(digest.SHA512, content)
		errs = append(errs, err, content.Close())
	})
	return errors.Join(errs...)
}
