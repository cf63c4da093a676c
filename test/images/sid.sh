# shellcheck shell=bash
# v1 with the newest kernel of Debian sid, and an initramfs by dracut. It is as new as the
# day it was built.

sid_key() {
  local v1
  v1=$(v1_key)
  hash_of "$here"/{sid,debian}.sh "$v1"
}

sid_make() {
  local layout=$1 bundle=$scratch/bundle tree v1 old kver initramfs
  v1=$(image v1)
  tree=$bundle/rootfs
  rm -rf "$bundle"
  derive "$layout" "$v1"
  unpack "$layout" v1 "$bundle"
  old=$(ls "$tree/usr/lib/modules")

  sid_kernel "$tree"
  rm -rf "$tree/usr/lib/modules/$old"
  kver=$(ls "$tree/usr/lib/modules")
  in_tree "$tree" depmod "$kver"
  initramfs=$(dracut "$v1" "$tree" "$kver")
  cp "$initramfs" "$tree/usr/lib/modules/$kver/initramfs.img"
  sed -i 's/^IMAGE_VERSION=.*/IMAGE_VERSION=sid/' "$tree/usr/lib/os-release"
  tidy "$tree"

  add_layer "$layout" v1 "$bundle" sid sid
  only_tag "$layout" sid
  rm -rf "$bundle"
}

# sid_kernel TREE - unpacks kernel and modules only: sid's other packages stay away
sid_kernel() {
  local tree=$1 deb
  quietly with_apt "$tree" sid apt-get install -y --download-only --no-install-recommends linux-image-cloud-amd64
  for deb in "$tree"/var/cache/apt/archives/linux-*cloud-amd64*.deb; do
    dpkg-deb -x "$deb" "$scratch/sid-debs"
  done
  mv "$scratch"/sid-debs/usr/lib/modules/* "$tree/usr/lib/modules/" || mv "$scratch"/sid-debs/lib/modules/* "$tree/usr/lib/modules/"
  local kver
  for kver in "$tree"/usr/lib/modules/*; do
    kver=$(basename "$kver")
    [ ! -e "$scratch/sid-debs/boot/vmlinuz-$kver" ] || mv "$scratch/sid-debs/boot/vmlinuz-$kver" "$tree/usr/lib/modules/$kver/vmlinuz"
  done
  rm -rf "$scratch/sid-debs"
}
