# shellcheck shell=bash
# The update: each kind of change that a layer can make.

v2_key() {
  local v1
  v1=$(v1_key)
  hash_of "$here"/{v2,debian}.sh "$v1"
}

v2_make() {
  local layout=$1 bundle=$scratch/bundle tree v1
  v1=$(image v1)
  tree=$bundle/rootfs
  rm -rf "$bundle"
  derive "$layout" "$v1"
  unpack "$layout" v1 "$bundle"

  quietly with_apt "$tree" trixie apt-get install -y --no-install-recommends hello
  sed -i 's/^IMAGE_VERSION=.*/IMAGE_VERSION=2/' "$tree/usr/lib/os-release"
  echo 'This is version 2 of the example image.' >"$tree/etc/motd"
  rm "$tree/usr/share/test-machine/only-in-1"
  tidy "$tree"

  add_layer "$layout" v1 "$bundle" v2 2
  only_tag "$layout" v2
  rm -rf "$bundle"
}
