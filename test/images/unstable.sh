# shellcheck shell=bash
# The whole of Debian sid with our programs. It is as new as the day it was built.

unstable_key() {
  local ours theirs
  ours=$(programs)
  theirs=$(machine)
  hash_of "$here"/{unstable,sid_base,base,v1,tree,debian,programs}.sh "$ours" "$theirs"
}

unstable_make() {
  local layout=$1 bundle=$scratch/bundle tree ours theirs
  ours=$(programs)
  theirs=$(machine)
  tree=$bundle/rootfs
  rm -rf "$bundle"
  rmdir "$layout" # umoci makes it
  umoci init --layout "$layout"
  umoci new --image "$layout:unstable"
  unpack "$layout" unstable "$bundle"
  sid_base "$tree"
  cp -r "$ours/." "$theirs/." "$tree"
  standalone "$tree" "$(ls "$tree/usr/lib/modules")"
  in_tree "$tree" systemctl --quiet enable test-agent.service
  v1_content "$tree"
  sed -i 's/^IMAGE_VERSION=.*/IMAGE_VERSION=unstable/' "$tree/usr/lib/os-release"
  tidy "$tree"
  add_layer "$layout" unstable "$bundle" unstable unstable
  umoci gc --layout "$layout"
  rm -rf "$bundle"
}
