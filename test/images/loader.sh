# shellcheck shell=bash
# Boot loaders, and what tells their choice: no image, but what a test gives to a machine or
# puts over a tree of base.
#
#   trixie.efi, sid.efi  systemd-boot of two Debians
#   panics.efi           a unified kernel image whose kernel finds no root, and reboots
#   vmlinuz              its kernel
#   tree                 the bootctl of sid
#
# What is of sid is as new as the day it was fetched.

loader_key() { hash_of "$here"/{loader,uki,debian,tree}.sh "$(base_key)"; }

# loader_make DIRECTORY - unpacks packages only: sid's others stay away
loader_make() {
  local dir=$1 tools tree deb
  tools=$(cached ukify "$(hash_of "$here"/{uki,debian,tree}.sh "$(base_key)")" ukify_tree)
  cp "$tools/tree/usr/lib/systemd/boot/efi/systemd-bootx64.efi" "$dir/trixie.efi"
  unpack "$(image base)" base "$dir/bundle"
  tree=$dir/bundle/rootfs
  cp "$tree"/usr/lib/modules/*/vmlinuz "$dir"
  loader_panics "$dir" "$tools/tree"
  # apt drops its privileges, and may not write to the directory then.
  # shellcheck disable=SC2016 # for the inner shell
  quietly with_apt "$tree" sid sh -ec 'cd /tmp && apt-get -o APT::Sandbox::User=root download "$@"' sh \
    systemd-boot-efi systemd-boot-tools libsystemd-shared
  for deb in "$tree"/tmp/*.deb; do
    dpkg-deb -x "$deb" "$dir/debs"
  done
  mv "$dir/debs/usr/lib/systemd/boot/efi/systemd-bootx64.efi" "$dir/sid.efi"
  mkdir -p "$dir/tree/usr/bin" "$dir/tree/usr/lib"
  mv "$dir/debs/usr/bin/bootctl" "$dir/tree/usr/bin"
  mv "$dir/debs/usr/lib/x86_64-linux-gnu" "$dir/tree/usr/lib"
  rm -rf "$dir/bundle" "$dir/debs"
}

# loader_panics DIRECTORY TOOLS - makes DIRECTORY/panics.efi of DIRECTORY/vmlinuz
loader_panics() {
  # shellcheck disable=SC2016 # for the inner shell
  quietly unshare --mount sh -ec '
    mkdir -p "$2/mnt"
    mount --bind "$1" "$2/mnt"
    exec chroot "$2" ukify build --linux=/mnt/vmlinuz --os-release="PRETTY_NAME=Panics" \
      --cmdline="console=ttyS0 panic=-1 test.boots=trial" --output=/mnt/panics.efi
  ' sh "$1" "$2"
}
