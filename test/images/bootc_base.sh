# shellcheck shell=bash
# Debian sid with what bootc needs: its libostree is newer than trixie's.

bootc_packages=(
  # what bootc is linked with, and what it calls
  libostree-1-1 skopeo podman crun
)

bootc_base_key() { hash_of "$here"/{bootc_base,sid_base,base,tree,debian}.sh; }

bootc_base_make() {
  local layout=$1 bundle=$scratch/bundle tree
  tree=$bundle/rootfs
  rm -rf "$bundle"
  rmdir "$layout" # umoci makes it
  umoci init --layout "$layout"
  umoci new --image "$layout:bootc_base"
  unpack "$layout" bootc_base "$bundle"
  sid_base "$tree" "${bootc_packages[@]}"
  tidy "$tree"
  add_layer "$layout" bootc_base "$bundle" bootc_base base
  umoci gc --layout "$layout"
  rm -rf "$bundle"
}
