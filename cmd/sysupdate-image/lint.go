package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/composefs/tree"
	"github.com/sysupdate-image/sysupdate-image/internal/image/lint"
	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
	"github.com/sysupdate-image/sysupdate-image/internal/image/source"
	"github.com/sysupdate-image/sysupdate-image/internal/ui"
)

// lintFlags are those of both commands.
type lintFlags struct {
	imageFlags
	rootfs                   string // of container lint
	bootc                    bool   // container lint
	fatalWarnings, list, all bool
	asJSON, asSARIF          bool
	skip                     []string
}

func (s *session) lintCommand() *cobra.Command {
	var f lintFlags
	cmd := &cobra.Command{
		Use:               "lint [IMAGE]",
		Short:             "Check whether an image will boot and update",
		Args:              needArgs(cobra.MaximumNArgs(1)),
		ValidArgsFunction: completeOneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := first(args)
			if len(args) == 0 {
				name = "/"
			}
			return s.lint(cmd, name, f)
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&f.asSARIF, "sarif", false, "print a SARIF log, which code hosts and editors can show")
	exclude(cmd, [2]string{"json", "sarif"}, [2]string{"list", "sarif"})
	f.imageFlags.source.add(cmd)
	addArchFlag(cmd, &f.architecture)
	return cmd
}

// add adds the flags that bootc has, too.
func (f *lintFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.fatalWarnings, "fatal-warnings", false, "fail for warnings, too")
	cmd.Flags().BoolVar(&f.list, "list", false, "list the rules and check nothing")
	cmd.Flags().StringArrayVar(&f.skip, "skip", nil, "leave out the rule `NAME`; can be repeated")
	cmd.Flags().BoolVar(&f.all, "no-truncate", false, "print all findings of a rule, not only the first 5")
	var names []string
	for _, c := range lint.Rules {
		names = append(names, c.Name)
	}
	completeValues(cmd, "skip", names...)
}

func (s *session) containerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "container",
		Short: "Check and describe images with the command line of bootc",
		Args:  needArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f := lintFlags{bootc: true}
	check := &cobra.Command{
		Use:   "lint",
		Short: "Check whether an image will boot and update, as bootc container lint",
		Args:  needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if info, err := os.Stat(f.rootfs); err == nil && !info.IsDir() {
				return fmt.Errorf("--rootfs %s: not a directory", f.rootfs)
			} else if err != nil {
				return err
			}
			return s.lint(cmd, f.rootfs, f)
		},
	}
	addRootFS(check, &f.rootfs, "check")
	f.add(check)
	cmd.AddCommand(check, s.containerInspectCommand(), s.computeDigestCommand())
	return cmd
}

// lint checks an image, or lists the rules.
func (s *session) lint(cmd *cobra.Command, name string, f lintFlags) error {
	if s.sysroot != "" {
		return usageError{fmt.Errorf("%s: --sysroot cannot be used here; name the directory", nameOf(cmd))}
	}
	skip, err := s.skipped(f)
	if err != nil {
		return err
	}
	if f.list {
		if f.asJSON {
			return s.PrintJSON(lint.Rules)
		}
		return s.PrintRules(lint.Rules)
	}
	img, err := openToLint(cmd, name, &f)
	if err != nil {
		return ui.AdviseArch(err)
	}
	defer img.close()
	report, err := lint.Run(cmd.Context(), img.Image, skip)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	switch {
	case f.asSARIF:
		err = s.PrintLintSARIF(report, lint.Rules)
	case f.asJSON:
		err = s.PrintJSON(report)
	default:
		err = s.PrintLint(report, f.all)
	}
	if err != nil {
		return err
	}
	return verdict(report, f.fatalWarnings)
}

// verdict returns an error if the image is not good enough.
func verdict(r lint.Report, fatalWarnings bool) error {
	failed := r.Count(lint.Fatal)
	if fatalWarnings {
		failed += r.Count(lint.Warning)
	}
	switch {
	case failed > 0:
		return errors.New(ui.Count(failed, "rule") + " broken")
	case len(r.Failed) > 0:
		return fmt.Errorf("cannot check %s", ui.Count(len(r.Failed), "rule"))
	}
	return nil
}

// skipped returns the rules to leave out.
func (s *session) skipped(f lintFlags) (map[string]bool, error) {
	skip := make(map[string]bool)
	for _, name := range f.skip {
		known := slices.ContainsFunc(lint.Rules, func(c lint.Rule) bool { return c.Name == name })
		switch {
		case known:
			skip[name] = true
		case f.bootc:
			s.Warn(fmt.Sprintf("--skip %s: no such rule", name))
		default:
			return nil, usageError{fmt.Errorf("--skip %s: no such rule; --list shows all", name)}
		}
	}
	return skip, nil
}

// A lintImage is an image that is open to be checked.
type lintImage struct {
	lint.Image
	close func() error
}

// wantImage says what can be checked.
const wantImage = "want a directory, an OCI layout or a reference"

// openToLint opens a directory, a layout or a reference.
func openToLint(cmd *cobra.Command, name string, f *lintFlags) (*lintImage, error) {
	opts, err := f.options()
	if err != nil {
		return nil, err
	}
	if isLayout(name) {
		name = "oci:" + name
	}
	// Any other file has no end that is known, and reading it may wait forever.
	if info, err := os.Stat(name); err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %s", name, wantImage)
	}
	img := &lintImage{}
	from, err := source.Open(cmd.Context(), name, source.Options{
		Source: opts, Shallow: true, NoMounts: true, Contents: lint.Contents,
		AfterLayer: func(l oci.Layer, root *tree.Node) {
			img.Layers = append(img.Layers, lint.Layer{Digest: l.Digest.String(), Secrets: lint.SecretsIn(root)})
		},
	})
	if err != nil {
		return nil, err
	}
	img.close = from.Close
	if !from.Raw() {
		return nil, errors.Join(fmt.Errorf("%s: %s, not a %s", name, wantImage, from.Kind), from.Close())
	}
	img.Root, img.Open, img.Arch = from.Root, from.Open, runtime.GOARCH
	if from.OCI != nil && from.OCI.Config.Architecture != "" {
		img.Arch = from.OCI.Config.Architecture
	}
	img.Running = from.Kind == source.Directory && filepath.Clean(name) == "/"
	img.Bootc, img.Now = f.bootc, time.Now()
	return img, nil
}

// isLayout reports whether a directory is an OCI layout.
func isLayout(name string) bool {
	if strings.Contains(name, ":") {
		return false // a layout with a tag is a reference
	}
	for _, file := range []string{"oci-layout", "index.json"} {
		if info, err := os.Stat(filepath.Join(name, file)); err != nil || !info.Mode().IsRegular() {
			return false
		}
	}
	return true
}

// completeOneFile leaves the completion of one argument to the shell.
func completeOneFile(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveDefault
}
