# shellcheck shell=bash
# v1 with the newest kernel of Debian sid, and an initramfs by dracut. It is as new as the
# day it was built.

sid_key() {
  local v1
  v1=$(v1_key)
  hash_of "$here"/{sid,debian}.sh "$v1"
}

sid_make() {
  local layout=$1 bundle=$scratch/bundle tree v1 kver initramfs
  v1=$(image v1)
  tree=$bundle/rootfs
  rm -rf "$bundle"
  derive "$layout" "$v1"
  unpack "$layout" v1 "$bundle"

  sid_kernel "$tree"
  kver=$(ls "$tree/usr/lib/modules")
  initramfs=$(dracut "$v1" "$tree" "$kver")
  cp "$initramfs" "$tree/usr/lib/modules/$kver/initramfs.img"
  sed -i 's/^IMAGE_VERSION=.*/IMAGE_VERSION=sid/' "$tree/usr/lib/os-release"
  tidy "$tree"

  add_layer "$layout" v1 "$bundle" sid sid
  only_tag "$layout" sid
  rm -rf "$bundle"
}

# sid_kernel TREE - puts kernel and modules into the place of those that are there: sid's
# other packages stay away
sid_kernel() {
  local tree=$1 debs=$scratch/sid-debs deb kver name
  quietly with_apt "$tree" sid apt-get install -y --download-only --no-install-recommends linux-image-cloud-amd64
  for deb in "$tree"/var/cache/apt/archives/linux-*cloud-amd64*.deb; do
    dpkg-deb -x "$deb" "$debs"
  done
  rm -rf "${tree:?}"/usr/lib/modules/*
  mv "$debs"/usr/lib/modules/* "$tree/usr/lib/modules/" || mv "$debs"/lib/modules/* "$tree/usr/lib/modules/"
  kver=$(ls "$tree/usr/lib/modules")
  for name in vmlinuz config; do
    [ ! -e "$debs/boot/$name-$kver" ] || mv "$debs/boot/$name-$kver" "$tree/usr/lib/modules/$kver/$name"
  done
  rm -rf "$debs"
  in_tree "$tree" depmod "$kver"
}
