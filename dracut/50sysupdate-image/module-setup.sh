#!/bin/bash
#
# dracut module: prepare-root, which mounts the root of the image that the kernel
# command line names. See dracut.modules(7). Without it the machine cannot start,
# so whatever is missing ends the build of the initramfs, with a reason.
#
# shellcheck disable=SC2154 # dracut's own variables

# Where `make install` puts things.
sysupdate_image_program=/usr/lib/sysupdate-image/prepare-root
sysupdate_image_unit=sysupdate-image-prepare-root.service
sysupdate_image_deadline=sysupdate-image-deadline.service
sysupdate_image_configs=(
    /usr/lib/sysupdate-image/prepare-root.toml
    /usr/lib/composefs/setup-root-conf.toml
)

# What the kernel must have been built with, whether or not as a module.
sysupdate_image_kernel_config=(
    CONFIG_EROFS_FS CONFIG_EROFS_FS_XATTR CONFIG_OVERLAY_FS CONFIG_FS_VERITY
)

sysupdate_image_fail() {
    dfatal "sysupdate-image: $1"
    # dracut goes on when install() returns an error.
    exit 1
}

# Included only on request: add_dracutmodules+=" sysupdate-image ".
check() {
    return 255
}

# No depends(): dracut would leave this module out if another were missing, and
# go on.

install() {
    local config link

    dracut_module_included systemd-initrd ||
        sysupdate_image_fail "the initramfs has no systemd: do not omit the dracut module systemd-initrd"
    if dracut_module_included bootc; then
        sysupdate_image_fail "the dracut module bootc prepares the root too: omit one of the two"
    fi

    [[ -x ${dracutsysrootdir-}$sysupdate_image_program ]] ||
        sysupdate_image_fail "there is no program $sysupdate_image_program"
    inst_binary "$sysupdate_image_program" ||
        sysupdate_image_fail "cannot install $sysupdate_image_program"

    inst_simple "$systemdsystemunitdir/$sysupdate_image_unit" ||
        sysupdate_image_fail "there is no unit $systemdsystemunitdir/$sysupdate_image_unit"
    # Since systemd 258 the rule for /dev/gpt-auto-root is in a file that dracut 106 does not know.
    config=/usr/lib/udev/rules.d/90-image-dissect.rules
    [[ ! -e ${dracutsysrootdir-}$config ]] || inst_rules "${config##*/}"

    # Do not switch root unless it was prepared.
    for link in initrd-root-fs.target.wants initrd-switch-root.{target,service}.requires; do
        { mkdir -p "$initdir$systemdsystemunitdir/$link" &&
            ln -sfn "../$sysupdate_image_unit" "$initdir$systemdsystemunitdir/$link/$sysupdate_image_unit"; } ||
            sysupdate_image_fail "cannot enable $sysupdate_image_unit"
    done

    # A boot on trial does not wait for ever.
    inst_simple "$systemdsystemunitdir/$sysupdate_image_deadline" ||
        sysupdate_image_fail "there is no unit $systemdsystemunitdir/$sysupdate_image_deadline"
    link=$initdir$systemdsystemunitdir/initrd.target.wants
    { mkdir -p "$link" && ln -sfn "../$sysupdate_image_deadline" "$link/$sysupdate_image_deadline"; } ||
        sysupdate_image_fail "cannot enable $sysupdate_image_deadline"

    for config in "${sysupdate_image_configs[@]}"; do
        [[ -e ${dracutsysrootdir-}$config ]] || continue
        inst_simple "$config" || sysupdate_image_fail "cannot install $config"
    done
}

installkernel() {
    local module config

    [[ ${no_kernel-} == yes ]] && return 0

    for module in erofs overlay; do
        check_kernel_module "$module" ||
            sysupdate_image_fail "kernel $kernel has no $module file system, neither built in nor as a module"
    done
    # Also succeeds if there is no configuration file.
    for config in "${sysupdate_image_kernel_config[@]}"; do
        check_kernel_config "$config" ||
            sysupdate_image_fail "kernel $kernel was built without $config"
    done
    # Install them whatever this host has loaded.
    hostonly='' instmods -c erofs overlay ||
        sysupdate_image_fail "cannot install the modules erofs and overlay"
    # Before Linux 6.12 an image is mounted from a loop device. The EFI variables tell
    # which disk was booted, and how many tries are left.
    hostonly='' instmods loop efivarfs
}
