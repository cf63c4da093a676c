# shellcheck shell=bash
# The image that machines are installed with.

v1_key() {
  local base ours theirs
  base=$(base_key)
  ours=$(programs)
  theirs=$(machine)
  hash_of "$here"/{v1,tree,programs}.sh "$base" "$ours" "$theirs"
}

v1_make() {
  local layout=$1 bundle=$scratch/bundle base tree kver ours theirs initramfs
  base=$(image base)
  ours=$(programs)
  theirs=$(machine)
  tree=$bundle/rootfs
  rm -rf "$bundle"
  derive "$layout" "$base"
  unpack "$layout" base "$bundle"
  kver=$(ls "$tree/usr/lib/modules")

  cp -r "$ours/." "$theirs/." "$tree"
  # For machines that boot without an image, and for tests that replace the other.
  initramfs=$(dracut "$base" "$tree" "$kver")
  cp "$initramfs" "$tree/usr/lib/test-machine/dracut.img"
  standalone "$tree" "$kver"
  in_tree "$tree" systemctl --quiet enable test-agent.service
  in_tree "$tree" journalctl --update-catalog
  v1_content "$tree"
  tidy "$tree"

  add_layer "$layout" base "$bundle" v1 1
  only_tag "$layout" v1
  rm -rf "$bundle"
}

# v1_content TREE - what v2 will change
v1_content() {
  local tree=$1
  sed -i -e '/^IMAGE_/d' "$tree/usr/lib/os-release"
  printf '%s\n' 'IMAGE_ID=example' 'IMAGE_VERSION=1' >>"$tree/usr/lib/os-release"
  echo 'This is version 1 of the example image.' >"$tree/etc/motd"
  echo 'Version 2 does not have this file.' >"$tree/usr/share/test-machine/only-in-1"
}
