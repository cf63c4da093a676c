package lint

// Rules are all there are, in the order in which they are checked: bootc's by name, then ours.
var Rules = append(bootcRules, ownRules...)

// Reasons and remedies that several rules share.
const (
	hidden   = "What is there is in every copy of the image, but no machine ever sees it."
	unbooted = "The image cannot boot."
)

// bootcRules have bootc's names and levels; see its "bootc container lint --list".
var bootcRules = []Rule{
	{
		Name: "api-base-directories", Level: Fatal, Bootc: true, run: checkAPIDirs,
		Description: "/dev, /proc, /run, /sys, /tmp and /var are directories",
		Why:         "File systems are mounted there before the root is in use, and / is read-only.",
		Mend:        "Make it a directory.",
	},
	{
		Name: "baseimage-composefs", Level: Warning, Bootc: true, run: checkComposefs,
		Description: "composefs is enabled in ostree's prepare-root.conf, if the image has ostree or bootc",
		Why:         "If ostree deploys the image, nothing verifies its files.",
		Mend:        `RUN mkdir -p /usr/lib/ostree && printf '[composefs]\nenabled = true\n' > /usr/lib/ostree/prepare-root.conf`,
	},
	{
		Name: "baseimage-root", Level: Fatal, Bootc: true, run: checkBaseRoot,
		Description: "/sysroot is a directory, and /ostree a link to sysroot/ostree if the image has ostree or bootc",
		Why:         "The root file system of the machine is mounted at /sysroot.",
		Mend:        "Make it a directory.",
	},
	{
		Name: "bootc-kargs", Level: Fatal, Bootc: true, run: checkKargs,
		Description: "the files in /usr/lib/bootc/kargs.d can be read",
		Why:         "An update to an image with kernel arguments that cannot be read is refused.",
		Mend:        `Write files that only have kargs = ["…"] and, if need be, match-architectures = ["…"].`,
	},
	{
		Name: "buildah-injected", Level: Warning, Bootc: true, run: checkInjected,
		Description: "/etc/hostname and /etc/resolv.conf are no empty files that a container builder left behind",
		Why:         "An empty file replaces what the machine would have without it: no name server, or no name.",
		Mend:        "Remove it outside of RUN, for instance from the mounted image, or replace it by COPY.",
	},
	{
		Name: "etc-usretc", Level: Fatal, Bootc: true, run: checkUsrEtc,
		Description: "there is no /usr/etc beside /etc",
		Why:         "Which of the two has the defaults of /etc is undefined.",
		Mend:        "RUN cp -a /usr/etc/. /etc/ && rm -r /usr/etc",
	},
	{
		Name: "kernel", Level: Fatal, Bootc: true, run: checkKernel,
		Description: "there is exactly one kernel, with its initramfs",
		Why:         unbooted,
		Mend:        "Remove the directories of other kernels below /usr/lib/modules, and build the initramfs of the one that stays.",
	},
	{
		Name: "nonempty-boot", Level: Warning, Bootc: true, run: checkBoot,
		Description: "/boot is empty, but for /boot/EFI",
		Why:         hidden,
		Mend:        "Move the kernel and its initramfs to /usr/lib/modules/VERSION/vmlinuz and initramfs.img, and empty /boot.",
	},
	{
		Name: "nonempty-run-tmp", Level: Warning, Bootc: true, run: checkRunTmp,
		Description: "/run and /tmp are empty",
		Why:         hidden,
		Mend:        "Remove it in the RUN that makes it, or use RUN --mount=type=tmpfs.",
	},
	{
		Name: "sysusers", Level: Warning, Bootc: true, run: checkSysusers,
		Description: "all users and groups are in sysusers.d",
		Why:         "A machine that has users of its own may have another user with the same number.",
	},
	{
		Name: "utf8", Level: Fatal, Bootc: true, run: checkUTF8,
		Description: "all names of files, and what links lead to, are UTF-8",
		Why:         "bootc refuses other names.",
		Mend:        "Rename the file, or make the link anew.",
	},
	{
		Name: "var-log", Level: Warning, Bootc: true, run: checkVarLog,
		Description: "/var/log has no logs",
		Why:         "Logs of the build are no logs of the machine, differ from build to build, and may tell what nobody should read.",
		Mend:        "Remove it in the RUN that writes it.",
	},
	{
		Name: "var-run", Level: Fatal, Bootc: true, run: checkVarRun,
		Description: "/var/run is a symbolic link",
		Why:         "Sockets and state of services would be kept over a reboot, and not be found at /run.",
		Mend:        "RUN rm -r /var/run && ln -s ../run /var/run",
	},
	{
		Name: "var-tmpfiles", Level: Warning, Bootc: true, run: checkVarTmpfiles,
		Description: "all that is in /var is made by tmpfiles.d",
		Why:         "/var is the machine's: with a bind mount there, and with bootc, what an update has in it reaches no machine that is installed already.",
	},
}

// ownRules are ours.
var ownRules = []Rule{
	{
		Name: "config", Level: Fatal, run: checkConfig,
		Description: "update.toml, prepare-root.toml and the files in /usr/lib/bootc/install can be read",
		Why:         "An update, or even the boot, ends with an error.",
		Mend:        "Correct it: see sysupdate-image-update.toml(5) and sysupdate-image-prepare-root.toml(5).",
	},
	{
		Name: "config-keys", Level: Warning, run: checkConfigKeys,
		Description: "prepare-root.toml has no unknown keys",
		Why:         "It has no effect, and only the journal of the initramfs says so.",
		Mend:        "Correct or remove it: see sysupdate-image-prepare-root.toml(5).",
	},
	{
		Name: "directories", Level: Fatal, run: checkDirectories,
		Description: "/boot, /etc and /usr are directories",
		Why:         unbooted,
		Mend:        "Make it a directory.",
	},
	{
		Name: "drop-ins", Level: Warning, run: checkDropIns,
		Description: "all lines of sysusers.d and tmpfiles.d are valid",
		Why:         "systemd ignores the line, and the service that does this at boot fails.",
		Mend:        "Correct it: see sysusers.d(5) and tmpfiles.d(5).",
	},
	{
		Name: "etc-changing", Level: Warning, run: checkChanging,
		Description: "/etc has no files that change by themselves",
		Why:         "The file differs on every machine, so each update of it in the image is a change that does not arrive.",
		Mend:        "Remove it, or make it a link to a file below /run or /var.",
	},
	{
		Name: "fat-names", Level: Fatal, run: checkFAT,
		Description: "the boot partition can hold the names of what belongs there",
		Why:         "An update fails when it writes the file.",
		Mend:        "Rename it.",
	},
	{
		Name: "fstab-root", Level: Warning, run: checkFstab,
		Description: "/etc/fstab has no line for /, /usr or /etc",
		Why:         "They are those of the image: the line has no effect, and remounting by it fails.",
		Mend:        "Remove the line. The boot entry names the root file system.",
	},
	{
		Name: "future-time", Level: Warning, run: checkFuture,
		Description: "no file was modified in the future",
		Why:         "Caches and programs such as make take it for newer than all that is made on the machine.",
		Mend:        "Set the builder's clock, or SOURCE_DATE_EPOCH, and build again.",
	},
	{
		Name: "init", Level: Fatal, run: checkInit,
		Description: "there is a program to start, such as systemd",
		Why:         "The machine stops in the initramfs, after the root is prepared.",
		Mend:        "Install systemd, or another init as /sbin/init.",
	},
	{
		Name: "initramfs", Level: Fatal, run: checkInitramfs,
		Description: "the initramfs has a program that mounts the root of an image",
		Why:         unbooted,
		Mend:        "Install the hook for the tool that builds the initramfs, and build it again, or RUN sysupdate-image initramfs build.",
	},
	{
		Name: "initramfs-stale", Level: Warning, run: checkStale,
		Description: "the programs and the configuration in the initramfs are those of the image",
		Why:         "The machine boots with the older program, and without its corrections, or with another configuration than the image has.",
		Mend:        "Build the initramfs again, after the last package is installed.",
	},
	{
		Name: "kernel-config", Level: Fatal, run: checkKernelConfig,
		Description: "the kernel has EROFS, overlayfs and fs-verity",
		Why:         "The kernel cannot mount the root of an image.",
		Mend:        "Install another kernel, or build it with the option.",
	},
	{
		Name: "kernel-verity", Level: Warning, run: checkKernelVerity,
		Description: "the kernel has no known mistake with overlayfs and fs-verity",
		Why:         `Without a correction by its distributor such a kernel does not boot an image: "lower file has no fs-verity digest".`,
		Mend:        "Install 7.0.9 or newer, or one that has commit 0c8c88b8eb82; then skip this rule.",
	},
	{
		Name: "modules", Level: Warning, run: checkModules,
		Description: "there are no modules of a kernel that the image does not have",
		Why:         "They are of no use, and tools that go through all kernels, such as DKMS and akmods, fail for this one.",
		Mend:        "Remove the directory, or install the modules for the kernel of the image.",
	},
	{
		Name: "secrets", Level: Warning, run: checkSecrets,
		Description: "neither the image nor a layer has what belongs to one machine or one person",
		Why:         "Everybody with the image has it, and all machines share it.",
	},
	{
		Name: "setuid", Level: Warning, run: checkSetuid,
		Description: "no user can change the directory of a program with setuid or setgid",
		Why:         "Users can replace what other programs find under that name, where the directory is writable.",
		Mend:        "Move the program below /usr, or have root alone write to the directory.",
	},
	{
		Name: "usr-writers", Level: Warning, run: checkUnits,
		Description: "no service that a boot, a timer or a socket starts writes to /usr",
		Why:         "/usr is read-only, so the service fails.",
		Mend:        "Have it write to /var or /run, run it when the image is built, or disable it.",
	},
}
