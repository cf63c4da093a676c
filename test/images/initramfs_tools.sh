# shellcheck shell=bash
# v1 with an initramfs that Debian's initramfs-tools made, with our hook.

initramfs_tools_key() { from_v1_key "$here"/{initramfs_tools,debian}.sh; }

initramfs_tools_make() { from_v1 "$1" initramfs_tools initramfs-tools initramfs_tools_tree; }

# initramfs_tools_tree TREE - makes the initramfs in a copy of TREE: initramfs-tools takes
# the place of dracut, and neither has to be in the image
initramfs_tools_tree() {
  local tree=$1 copy=$scratch/initramfs-tools kver file
  kver=$(ls "$tree/usr/lib/modules")
  file=usr/lib/modules/$kver/initramfs.img
  rm -rf "$copy"
  cp -a --reflink=auto "$tree" "$copy"
  quietly with_apt "$copy" trixie apt-get install -y --no-install-recommends initramfs-tools
  cp "$tree/usr/lib/modules/$kver/config" "$copy/boot/config-$kver"
  quietly in_tree "$copy" mkinitramfs -o "/$file" "$kver"
  install -m 644 "$copy/$file" "$tree/$file"
  rm -rf "$copy"
}

sid_initramfs_tools_key() { from_v1_key "$here"/{initramfs_tools,debian,sid}.sh; }

sid_initramfs_tools_make() {
  from_v1 "$1" sid_initramfs_tools sid-initramfs-tools sid_initramfs_tools_tree
}

# sid_initramfs_tools_tree TREE - the same for the kernel of sid
sid_initramfs_tools_tree() {
  sid_kernel "$1"
  initramfs_tools_tree "$1"
}
