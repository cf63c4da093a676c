package main

import (
	"github.com/spf13/cobra"

	"github.com/sysupdate-image/sysupdate-image/internal/image/oci"
)

// sourceFlags say how to get at a registry.
type sourceFlags struct {
	authFile, policy string
	insecureTLS      bool
}

func (f *sourceFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.authFile, "authfile", "", "read credentials from `FILE`, see containers-auth.json(5)")
	cmd.Flags().StringVar(&f.policy, "policy", "", "check signatures by `FILE`, see containers-policy.json(5)")
	cmd.Flags().BoolVar(&f.insecureTLS, "insecure-registry", false, "allow plain HTTP and unknown certificates of the registry")
	completeFiles(cmd, "authfile", "policy")
}

func (f *sourceFlags) options() oci.Options {
	return oci.Options{AuthFile: f.authFile, PolicyFile: f.policy, InsecureTLS: f.insecureTLS}
}

func addReuseFlag(cmd *cobra.Command, dirs *[]string) {
	cmd.Flags().StringArrayVar(dirs, "reuse", nil, "take layers that the repository in `DIR` has from there, instead of fetching them (may be repeated)")
	must(cmd.MarkFlagDirname("reuse"))
}
