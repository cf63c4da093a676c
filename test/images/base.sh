# shellcheck shell=bash
# Debian trixie with a kernel, as a distributor would begin an image.

base_packages=(
  # a system that boots
  systemd systemd-sysv systemd-boot udev dbus login passwd kmod
  linux-image-cloud-amd64 dracut zstd
  # what installing to a disk needs
  e2fsprogs dosfstools fdisk
  # the registry that updates come from
  docker-registry ca-certificates
)

base_key() { hash_of "$here"/{base,tree,debian}.sh; }

base_make() {
  local layout=$1 bundle=$scratch/bundle
  rm -rf "$bundle"
  rmdir "$layout" # umoci makes it
  umoci init --layout "$layout"
  umoci new --image "$layout:base"
  unpack "$layout" base "$bundle"
  base_tree "$bundle/rootfs"
  add_layer "$layout" base "$bundle" base base
  umoci gc --layout "$layout"
  rm -rf "$bundle"
}

base_tree() {
  local tree=$1
  quietly debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    trixie "$tree" "$(mirror trixie)"
  # Documentation stays out, as in Debian's slim container images.
  cat >"$tree/etc/dpkg/dpkg.cfg.d/image" <<'EOF'
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/man/*
EOF
  rm -rf "$tree"/usr/share/{doc,info,locale,man}/*
  rm -rf "${tree:?}"/dev/*
  quietly with_apt "$tree" trixie apt-get install -y --no-install-recommends "${base_packages[@]}"
  base_kernel "$tree"
  base_settings "$tree"
  tidy "$tree"
}

# base_kernel TREE - moves the kernel to where images have it, and keeps packages
# from writing to /boot again
base_kernel() {
  local tree=$1 kver
  kver=$(ls "$tree/usr/lib/modules")
  mv "$tree/boot/vmlinuz-$kver" "$tree/usr/lib/modules/$kver/vmlinuz"
  mv "$tree/boot/config-$kver" "$tree/usr/lib/modules/$kver/config"
  rm -rf "${tree:?}"/boot/* "$tree"/{vmlinuz,initrd.img}{,.old}
  rm -f "$tree"/etc/kernel/post{inst,rm}.d/* "$tree"/etc/initramfs/post-update.d/*
}

# base_settings TREE - what each machine decides for itself is left to it
base_settings() {
  local tree=$1
  mkdir "$tree/sysroot"
  : >"$tree/etc/machine-id"
  echo machine >"$tree/etc/hostname"
  rm -f "$tree/var/lib/dbus/machine-id" "$tree/etc/fstab"
  # For tests: root logs in on the console without a password.
  in_tree "$tree" passwd --quiet --delete root
  # The tests start a registry when they need one; timers would only get in
  # their way.
  rm -f "$tree"/etc/systemd/system/*.wants/{docker-registry.service,*.timer}
}
