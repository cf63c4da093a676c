# shellcheck shell=bash
# A machine that has bootc and our programs, as one has that moves from the one to
# the other: Debian sid, since bootc needs a newer libostree than trixie's, with an
# initramfs that holds bootc's module and nothing of ours. For test/bootc, which
# sets BOOTC to a directory with what bootc installs. Nothing of bootc is kept here.
#
#   bootc1  the image that bootc installs
#   bootc2  the same with another text, so with the same kernel and initramfs
#   bootc3  the same
#   bootc4  the same, with another initramfs

bootc1_key() {
  local base ours theirs
  base=$(bootc_base_key)
  ours=$(programs)
  theirs=$(machine)
  hash_of "$here"/{bootc,v1,tree,programs}.sh "${BOOTC:?test/bootc/run sets it}" "$base" "$ours" "$theirs"
}

bootc1_make() {
  local layout=$1 bundle=$scratch/bundle base tree kver ours theirs initramfs
  base=$(image bootc_base)
  ours=$(programs)
  theirs=$(machine)
  tree=$bundle/rootfs
  rm -rf "$bundle"
  derive "$layout" "$base"
  unpack "$layout" bootc_base "$bundle"
  kver=$(ls "$tree/usr/lib/modules")

  cp -r "$ours/." "$theirs/." "$BOOTC/." "$tree"
  ln -s sysroot/ostree "$tree/ostree"
  # An image without it is not installed, though this backend does not read it.
  mkdir -p "$tree/usr/lib/ostree"
  printf '[composefs]\nenabled = true\n' >"$tree/usr/lib/ostree/prepare-root.conf"
  initramfs=$(bootc_initramfs "$base" "$tree" "$kver")
  cp "$initramfs" "$tree/usr/lib/modules/$kver/initramfs.img"
  in_tree "$tree" systemctl --quiet enable test-agent.service
  in_tree "$tree" journalctl --update-catalog
  v1_content "$tree"
  tidy "$tree"

  add_layer "$layout" bootc_base "$bundle" bootc1 1
  only_tag "$layout" bootc1
  rm -rf "$bundle"
}

# bootc_initramfs BASE-LAYOUT TREE KVER - prints the file with an initramfs for TREE. It
# holds nothing of ours, so it stays when our programs change.
bootc_initramfs() {
  local base=$1 tree=$2 kver=$3 dir key
  key=$(hash_of "$here/bootc.sh" "$(basename "$base")" "$BOOTC" "$kver")
  dir=$(cached bootc_initramfs "$key" bootc_initramfs_make "$tree" "$kver")
  echo "$dir/initramfs.img"
}

bootc_initramfs_make() {
  local dir=$1 tree=$2 kver=$3
  quietly in_tree "$tree" dracut --force --no-hostonly --reproducible --zstd --add bootc --omit sysupdate-image \
    --kver "$kver" /tmp/initramfs.img
  chmod 644 "$tree/tmp/initramfs.img"
  mv "$tree/tmp/initramfs.img" "$dir/initramfs.img"
}

# from_bootc1 LAYOUT NUMBER CHANGE - makes the image bootcNUMBER of what CHANGE TREE
# makes of the unpacked bootc1
from_bootc1() {
  local layout=$1 number=$2 change=$3 bundle=$scratch/bundle tree first
  first=$(image bootc1)
  tree=$bundle/rootfs
  rm -rf "$bundle"
  derive "$layout" "$first"
  unpack "$layout" bootc1 "$bundle"

  echo "This is version $number of the example image." >"$tree/etc/motd"
  sed -i "s/^IMAGE_VERSION=.*/IMAGE_VERSION=$number/" "$tree/usr/lib/os-release"
  "$change" "$tree"
  tidy "$tree"

  add_layer "$layout" bootc1 "$bundle" "bootc$number" "$number"
  only_tag "$layout" "bootc$number"
  rm -rf "$bundle"
}

bootc2_key() { bootc1_key; }
bootc2_make() { from_bootc1 "$1" 2 true; }
bootc3_key() { bootc1_key; }
bootc3_make() { from_bootc1 "$1" 3 true; }
bootc4_key() { bootc1_key; }
bootc4_make() { from_bootc1 "$1" 4 bootc4_tree; }

# bootc4_tree TREE - gives the initramfs another archive
bootc4_tree() {
  local tree=$1 file
  for file in "$tree"/usr/lib/modules/*/initramfs.img; do
    (cd "$tree" && echo etc/motd | cpio --quiet --create --format=newc --reproducible --owner=+0:+0) >"$scratch/initramfs.img"
    cat "$file" >>"$scratch/initramfs.img"
    mv "$scratch/initramfs.img" "$file"
    chmod 644 "$file"
  done
}
