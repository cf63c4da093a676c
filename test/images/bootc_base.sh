# shellcheck shell=bash
# Debian sid with what bootc needs: its libostree is newer than trixie's.

bootc_packages=(
  # what bootc is linked with, and what it calls
  libostree-1-1 skopeo podman crun
)

bootc_base_key() { hash_of "$here"/{bootc_base,base,tree,debian}.sh; }

bootc_base_make() {
  local layout=$1 bundle=$scratch/bundle tree
  tree=$bundle/rootfs
  rm -rf "$bundle"
  rmdir "$layout" # umoci makes it
  umoci init --layout "$layout"
  umoci new --image "$layout:bootc_base"
  unpack "$layout" bootc_base "$bundle"
  quietly debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    sid "$tree" "$(mirror sid)"
  rm -rf "${tree:?}"/dev/* "$tree"/usr/share/{doc,info,locale,man}/*
  quietly with_apt "$tree" sid apt-get install -y --no-install-recommends "${base_packages[@]}" "${bootc_packages[@]}"
  bootc_base_kernel "$tree"
  base_settings "$tree"
  tidy "$tree"
  add_layer "$layout" bootc_base "$bundle" bootc_base base
  umoci gc --layout "$layout"
  rm -rf "$bundle"
}

# bootc_base_kernel TREE - is base_kernel where /boot has only links to what is below
# /usr already
bootc_base_kernel() {
  local tree=$1 kver name
  kver=$(ls "$tree/usr/lib/modules")
  for name in vmlinuz config; do
    [ ! -e "$tree/usr/lib/modules/$kver/$name" ] || {
      cp --dereference "$tree/usr/lib/modules/$kver/$name" "$scratch/$name"
      rm "$tree/usr/lib/modules/$kver/$name"
      mv -f "$scratch/$name" "$tree/boot/$name-$kver"
    }
  done
  base_kernel "$tree"
}
