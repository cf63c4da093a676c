package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/install"
	"github.com/sysupdate-image/sysupdate-image/internal/install/luks"
)

func (s *session) toDiskCommand() *cobra.Command {
	var f diskFlags
	cmd := &cobra.Command{
		Use:   "to-disk DISK --image REF",
		Short: "Install on a whole disk",
		Args:  needArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options(s, cmd)
			if err != nil {
				return err
			}
			o.Disk = args[0]
			if err := takeEncryption(cmd, &o, s.ErrOnTerminal()); err != nil {
				return err
			}
			return s.toDisk(cmd.Context(), o, &f, nil)
		},
	}
	cmd.Flags().BoolVar(&f.o.Wipe, "wipe", false, "overwrite what is on the disk")
	cmd.Flags().BoolVar(&f.o.Loopback, "via-loopback", false, "DISK is a file, the image of a disk")
	f.add(cmd)
	cmd.Flags().StringVar(&f.o.Encryption.PCRs, "tpm2-pcrs", luks.DefaultPCRs, "with tpm2-luks, `PCRS` of the TPM that must not change, such as 7+14; empty for none")
	cmd.Flags().StringVar(&f.o.Encryption.KeyFile, "recovery-key-file", "", "with tpm2-luks, write the recovery key to the new `FILE` instead of showing it")
	return cmd
}

// takeEncryption checks the flags about encryption. With shown, a person sees what is shown.
func takeEncryption(cmd *cobra.Command, o *install.DiskOptions, shown bool) error {
	o.Encryption.Asked = cmd.Flags().Changed("tpm2-pcrs") || cmd.Flags().Changed("recovery-key-file")
	if err := luks.CheckPCRs(o.Encryption.PCRs); err != nil {
		return usageError{fmt.Errorf("--tpm2-pcrs: %w", err)}
	}
	o.Encryption.Shown = shown
	return nil
}

// toDisk installs on a disk, or on the file that is to become the image of one.
func (s *session) toDisk(ctx context.Context, o install.DiskOptions, f *diskFlags, target *install.Target) error {
	report := s.Reporter(ctx, f.quiet)
	job, err := install.PrepareDisk(ctx, o, target, f.plan, report, s.WarnOf)
	if err != nil {
		return err
	}
	defer job.Close()
	switch {
	case f.plan && f.asJSON:
		return s.PrintJSON(job.Plan)
	case f.plan:
		return s.PrintDiskPlan(job.Plan)
	case target == nil:
		s.unfinished.Store(&o.Disk)
	}
	result, err := job.Run(ctx, report, s.WarnOf)
	if err != nil {
		return err
	}
	s.PrintRecoveryKey(result.RecoveryKey)
	if f.asJSON {
		return s.PrintJSON(result)
	}
	return s.PrintDiskResult(result, f.quiet)
}
