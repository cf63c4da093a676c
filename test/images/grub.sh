# shellcheck shell=bash
# Images with GRUB and without systemd-boot, for EFI with and without Secure Boot, and for a
# BIOS.
#
#   grub, grub2       v1 and v2 with it; the latter has a GRUB that says that it is newer
#   grub_panic        its kernel panics before it has an initramfs: only the loader can count that

grub_key() { from_v1_key "$here"/{grub,debian}.sh; }
grub2_key() { from_v1_key "$here"/{grub,debian,v2}.sh 2; }
grub_panic_key() { from_v1_key "$here"/{grub,debian}.sh panic; }

grub_make() { from_v1 "$1" grub 1 grub_tree; }
grub2_make() { from_v1 "$1" grub2 2 grub2_tree; }
grub_panic_make() { from_v1 "$1" grub_panic 3 grub_panic_tree; }

# grub_tree TREE - puts the files of Debian's packages into the tree; their scripts would look
# for a boot partition
grub_tree() {
  local tree=$1 debs deb
  debs=$(cached grub_debs "$(hash_of "$here"/{grub,debian}.sh "$(base_key)")" grub_debs)
  for deb in "$debs"/*.deb; do
    dpkg-deb -x "$deb" "$tree"
  done
  rm -rf "$tree"/usr/share/{doc,man,locale,grub}/* "$tree/usr/lib/systemd/boot/efi"
}

# grub_debs DIRECTORY - downloads the packages
grub_debs() {
  local tree=$1/tree
  unpack "$(image base)" base "$1/bundle"
  tree=$1/bundle/rootfs
  # apt drops its privileges, and may not write to the directory then.
  # shellcheck disable=SC2016 # for the inner shell
  quietly with_apt "$tree" trixie sh -ec 'cd /tmp && apt-get -o APT::Sandbox::User=root download "$@"' sh \
    grub-common libdevmapper1.02.1 grub-pc-bin grub-efi-amd64-signed shim-signed shim-signed-common shim-helpers-amd64-signed shim-unsigned
  mv "$tree"/tmp/*.deb "$1"
  rm -rf "$1/bundle"
}

grub2_tree() {
  v2_tree "$1"
  grub_tree "$1"
  grub_newer "$1"
}

# grub_newer TREE - has GRUB say that it is newer, in its metadata and in what it prints
grub_newer() {
  local tree=$1 file
  for file in "$tree"/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed "$tree"/usr/lib/grub/i386-pc/modinfo.sh; do
    sed -i 's/2\.12-9+deb13u/2.19-9+deb13u/g' "$file"
  done
}

# grub_panic_tree TREE - the initramfs has the program that mounts the root, and no init that
# would start it
grub_panic_tree() {
  local tree=$1 initramfs
  grub_tree "$tree"
  initramfs=$(echo "$tree"/usr/lib/modules/*/initramfs.img)
  (cd "$tree" && printf '%s\n' usr usr/lib usr/lib/sysupdate-image usr/lib/sysupdate-image/prepare-root |
    cpio --quiet --create --format=newc --reproducible --owner=+0:+0) >"$initramfs"
}
