package prepareroot

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/format/kcmdline"
	"github.com/sysupdate-image/sysupdate-image/internal/image/rootconfig"
)

var update = flag.Bool("update", false, "rewrite the wanted part of testdata")

// shortID stands for an ID in testdata.
const shortID = "ID"

var longID = strings.Repeat("0123456789abcdef", 8)

func TestPlan(t *testing.T) {
	names, err := filepath.Glob("testdata/plan/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) { testPlan(t, name) })
	}
}

func testPlan(t *testing.T, name string) {
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	got := planText(archive)
	for i := range archive.Files {
		if f := &archive.Files[i]; f.Name == "want" {
			if *update {
				f.Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got != string(f.Data) {
				t.Errorf("%s: got\n%s\nwant\n%s", name, got, f.Data)
			}
		}
	}
}

// planText returns the plan for what the archive tells, or the error.
func planText(archive *txtar.Archive) string {
	in := Input{Sysroot: "/sysroot", Where: "/sysroot"}
	files := make(fstest.MapFS)
	for _, f := range archive.Files {
		text := strings.ReplaceAll(strings.TrimSpace(string(f.Data)), shortID, longID)
		switch f.Name {
		case "cmdline":
			in.Cmdline = kcmdline.Parse(text)
		case "etc-is-copy":
			in.EtcIsCopy = true
		case "var-partition":
			in.Var = &deployment.VarPartition{PartUUID: text, FileSystem: "ext4", Dir: "default"}
		case "target":
			in.Where = text
		default:
			files[f.Name] = &fstest.MapFile{Data: f.Data}
		}
	}
	var warnings []string
	var err error
	if in.Target, err = deployment.FromCmdline(in.Cmdline); err != nil {
		return fmt.Sprintf("error: %v\n", err)
	}
	if in.Config, warnings, err = rootconfig.Load(files, rootconfig.File, rootconfig.BootcFile); err != nil {
		return fmt.Sprintf("error: %v\n", err)
	}
	text := Plan(in).String()
	for _, w := range warnings {
		text = "warning: " + w + "\n" + text
	}
	return strings.ReplaceAll(text, longID, shortID)
}
