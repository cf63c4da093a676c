package main

import (
	"slices"
)

// A refusal is a command or an option of bootc that this program does not have.
type refusal struct {
	command string // below the program
	option  string // "" for the command itself
	value   bool   // the option takes a value
	why     string
}

// refusals are told to whoever uses one. What a script can do instead comes last.
var refusals = []refusal{
	{command: "edit", why: "there is no specification to edit; use switch, rollback or pin"},
	{command: "state", why: "there is no OSTree state here"},
	{command: "image list", why: "there is no container storage of its own here; use repo images"},
	{command: "image copy-to-storage", why: "there is no container storage of its own here; pull the image with podman"},
	{command: "image set-unified", why: "there is no container storage of its own here; nothing has to be set"},
	{command: "image pull-from-default-storage", why: "there is no container storage of its own here; use switch with --transport oci"},
	{command: "image cmd", why: "there is no container storage of its own here; use podman image"},
	{command: "loader-entries", why: "kernel arguments have no sources here; use kargs"},
	{command: "internals", why: "these are bootc's own"},
	{command: "exec-in-host-mount-namespace", why: "it is bootc's own; use nsenter --mount --target 1"},
	{command: "composefs-finalize-staged", why: "sysupdate-image-finalize.service does that at shutdown"},
	{command: "container ukify", why: "use ukify, with the digest of 'image digest --boot'"},
	{command: "container export", why: "use podman export"},
	{command: "container split-kernel-and-rootfs", why: "the kernel stays in the image; mount it with 'image mount' and copy it"},
	{command: "container compute-composefs-digest-from-storage", why: "there is no container storage here; use 'image digest --boot' with an OCI layout or a reference"},
	{command: "install finalize", why: "install leaves nothing to finish"},
	{command: "install ensure-completion", why: "install leaves nothing to finish"},

	{"switch", "experimental-unified-storage", false, "there is no container storage here"},
	{"install to-disk", "target-transport", true, "name the transport in --track, as in oci:/path"},
	{"install to-disk", "enforce-container-sigpolicy", false, "follow a reference that must be signed, with --track ostree-image-signed:docker://..."},
	{"install to-disk", "run-fetch-check", false, "check with apply --check once it is installed"},
	{"install to-disk", "experimental-unified-storage", false, "there is no container storage here"},
	{"install to-disk", "disable-selinux", false, "SELinux labels are computed from the image's policy; an image without a policy has none"},
	{"install to-disk", "bound-images", true, "bound images are not pulled here"},
	{"install to-disk", "stateroot", true, "the state is always that called default"},
	{"install to-disk", "allow-missing-verity", false, "fs-verity is enabled where the file system can do that, and the output says so"},
	{"install to-disk", "uki-addon", true, "addons beside the image's unified kernel image are always installed"},
	{"install to-filesystem", "root-mount-spec", true, "use --karg root=..."},
	{"install to-filesystem", "boot-mount-spec", true, "the boot partition is found by its type; use --esp"},
	{"install to-filesystem", "replace", true, "use install to-existing-root beside an existing system"},
	{"install to-filesystem", "acknowledge-destructive", false, "use install to-existing-root beside an existing system"},
	{"install to-existing-root", "cleanup", false, "remove the old system with 'install remove-old' once the new one has proved itself"},
}

// withFilesystem returns options, and those of install to-disk once more for the two other
// commands that install on a machine.
func withFilesystem(options []refusal) []refusal {
	all := slices.Clone(options)
	for _, r := range options {
		if r.command == "install to-disk" {
			for _, r.command = range []string{"install to-filesystem", "install to-existing-root"} {
				all = append(all, r)
			}
		}
	}
	return all
}

// ignored are options of bootc that ask for what is so anyhow.
var ignored = []refusal{
	{"switch", "no-signature-verification", false, "it does nothing in bootc either"},
	{"install to-disk", "target-no-signature-verification", false, "it does nothing in bootc either"},
	{"install to-disk", "skip-fetch-check", false, "nothing is fetched to check"},
	{"install to-disk", "composefs-backend", false, "there is no other"},
	{"install to-disk", "bootupd-skip-boot-uuid", false, "bootupd is not used"},
	{"install to-disk", "generic-image", false, "variables of the firmware are never changed"},
	{"install to-filesystem", "skip-finalize", false, "the file system is left mounted and writable"},
	{"install to-existing-root", "acknowledge-destructive", false, "nothing is destroyed"},
}
