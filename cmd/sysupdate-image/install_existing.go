package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/format/deployment"
	"github.com/sysupdate-image/sysupdate-image/internal/install"
	"github.com/sysupdate-image/sysupdate-image/internal/update"
)

// alongside is what bootc calls it that the old system stays.
const alongside = "alongside"

type existingFlags struct {
	o                           install.ExistingOptions
	source                      sourceFlags
	replace                     string
	plan, quiet, asJSON, ignore bool
}

func (f *existingFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.replace, "replace", alongside, "what becomes of the old system: `alongside`, it stays")
	completeValues(cmd, "replace", alongside)
	cmd.Flags().StringVar(&f.o.ESP, "esp", "", "`DIR` where the EFI system partition is mounted (default: efi, boot/efi or boot in ROOT)")
	cmd.Flags().StringVar(&f.o.Image, "image", "", "install the image `REF`")
	cmd.Flags().StringVar(&f.o.Track, "track", "", "follow `REF` for updates instead of the installed one")
	addKargFlags(cmd, &f.o.Options)
	cmd.Flags().StringArrayVar(&f.o.KeepEtc, "keep-etc", nil, "take over `FILE` from /etc of the old system (can be repeated)")
	addLoaderFlag(cmd, &f.o.Loader)
	cmd.Flags().BoolVar(&f.ignore, "ignore-image-config", false, "do not look for settings in the image, whose layers are read once then")
	cmd.Flags().BoolVar(&f.plan, "plan", false, "show what would be done, and change nothing")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print the result, or the plan, as JSON")
	cmd.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "print only the result and the way back")
	addKeysFlag(cmd, &f.o.Keys)
	addReuseFlag(cmd, &f.o.Reuse)
	must(cmd.MarkFlagDirname("esp"))
	f.source.add(cmd)
	takeBootcNames(cmd)
}

func (s *session) toExistingRootCommand() *cobra.Command {
	var f existingFlags
	cmd := &cobra.Command{
		Use:               "to-existing-root [ROOT] --image REF",
		Short:             "Install beside the system of a machine",
		Args:              needArgs(cobra.MaximumNArgs(1)),
		ValidArgsFunction: completeDirectory,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.checkExistingFlags(&f.o, f.replace); err != nil {
				return err
			}
			f.o.Host, f.o.Source = s.host, f.source.options()
			if f.o.Root = first(args); f.o.Root == "" {
				f.o.Root = "/target"
			}
			return s.toExistingRoot(cmd, f)
		},
	}
	f.add(cmd)
	return cmd
}

func (s *session) toExistingRoot(cmd *cobra.Command, f existingFlags) error {
	p, err := s.planExisting(cmd, f.o, f.ignore, f.quiet)
	switch {
	case err != nil:
		return err
	case f.plan && f.asJSON:
		return s.PrintJSON(p)
	case f.plan:
		return s.PrintExistingPlan(p)
	}
	s.changes()
	result, err := p.Install(cmd.Context(), s.Reporter(cmd.Context(), f.quiet), s.WarnOf)
	if err != nil {
		return err
	}
	s.PrintWayBack(p)
	if f.asJSON {
		return s.PrintJSON(result)
	}
	return s.PrintResult(result, f.quiet)
}

func (s *session) checkExistingFlags(o *install.ExistingOptions, replace string) error {
	const name = "install to-existing-root"
	if replace != alongside {
		return usageError{fmt.Errorf("%s: --replace %s: want %s; 'install remove-old' removes the old system later", name, replace, alongside)}
	}
	if o.Image == "" {
		return usageError{errors.New(name + ": --image is required")}
	}
	if s.sysroot != "" {
		return usageError{errors.New(name + ": --sysroot cannot be used here; ROOT is where to install")}
	}
	return checkLoaderFlag(&o.Loader)
}

// planExisting looks at the image and at the system that is there.
func (s *session) planExisting(cmd *cobra.Command, o install.ExistingOptions, ignore, quiet bool) (install.ExistingPlan, error) {
	look := install.LookAt
	if ignore {
		look = install.GlanceAt
	}
	of := o.Options
	of.Loader = deployment.NoLoader // it is that of the old system
	img, err := look(cmd.Context(), of, s.Reporter(cmd.Context(), quiet))
	if err == nil {
		err = img.Check()
	}
	if err != nil {
		return install.ExistingPlan{}, err
	}
	return install.PlanExisting(o, img, s.WarnOf)
}

func (s *session) bootOldCommand() *cobra.Command {
	var undo bool
	cmd := &cobra.Command{
		Use:   "boot-old",
		Short: "Boot the old system beside an image by default",
		Args:  needArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			m, err := s.openToSwitch()
			if err != nil {
				return err
			}
			what := "The old system boots by default"
			if undo {
				what = "The image boots by default"
			}
			if err := errors.Join(install.BootOld(m, !undo), m.Close()); err != nil {
				return err
			}
			_, err = fmt.Fprintln(s.Out, what)
			return err
		},
	}
	cmd.Flags().BoolVar(&undo, "undo", false, "boot the image by default")
	return cmd
}

func (s *session) removeOldCommand() *cobra.Command {
	var keep []string
	var yes, asJSON, quiet bool
	cmd := &cobra.Command{
		Use:   "remove-old",
		Short: "Remove the old system beside an image",
		Args:  needArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.change(func(m *update.Machine) error {
				p, err := install.PlanRemoveOld(m, keep)
				if err != nil {
					return err
				}
				if asJSON {
					err = s.PrintJSON(p)
				} else {
					err = s.PrintRemoveOldPlan(p, yes)
				}
				if err != nil || !yes {
					return err
				}
				return p.Remove(cmd.Context(), m, s.Reporter(cmd.Context(), quiet))
			})
		},
	}
	cmd.Flags().StringArrayVar(&keep, "keep", nil, "keep `NAME` in the root of the old system (can be repeated)")
	cmd.Flags().BoolVar(&yes, "yes", false, "remove what is listed")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the list as JSON")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print only the list")
	return cmd
}
