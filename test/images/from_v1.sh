# shellcheck shell=bash
# Images that are v1 with one more layer.

# from_v1_key INPUT... - the key of an image that is v1 and what the inputs say
from_v1_key() {
  local v1
  v1=$(v1_key)
  hash_of "$here/from_v1.sh" "$@" "$v1"
}

# from_v1 LAYOUT NAME VERSION CHANGE - makes the image NAME of what CHANGE TREE makes
# of the unpacked v1
from_v1() {
  local layout=$1 name=$2 version=$3 change=$4 bundle=$scratch/bundle tree v1
  v1=$(image v1)
  tree=$bundle/rootfs
  rm -rf "$bundle"
  derive "$layout" "$v1"
  unpack "$layout" v1 "$bundle"

  "$change" "$tree"
  sed -i "s/^IMAGE_VERSION=.*/IMAGE_VERSION=$version/" "$tree/usr/lib/os-release"
  tidy "$tree"

  add_layer "$layout" v1 "$bundle" "$name" "$version"
  only_tag "$layout" "$name"
  rm -rf "$bundle"
}
