# shellcheck shell=bash
# v1 as a sealed image, made as docs/sealed-images.md tells distributors to: its
# kernel, initramfs and command line are one EFI program, which names the digest
# of all the rest.

uki_key() {
  local v1
  v1=$(v1_key)
  hash_of "$here"/{uki,debian,tree}.sh "$v1"
}

uki_make() {
  local layout=$1 bundle=$scratch/bundle tree v1 kver ours digest
  v1=$(image v1)
  ours=$(programs)
  tree=$bundle/rootfs
  rm -rf "$bundle"
  derive "$layout" "$v1"
  unpack "$layout" v1 "$bundle"
  kver=$(ls "$tree/usr/lib/modules")

  rm -rf "$scratch/seal" && mkdir "$scratch/seal"
  mv "$tree/usr/lib/modules/$kver"/{vmlinuz,initramfs.img} "$scratch/seal"
  sed -i 's/^IMAGE_VERSION=.*/IMAGE_VERSION=uki/' "$tree/usr/lib/os-release"
  cp "$tree/usr/lib/os-release" "$scratch/seal"
  tidy "$tree"
  add_layer "$layout" v1 "$bundle" unsealed uki

  digest=$("$ours/usr/bin/sysupdate-image" image digest --boot "oci:$layout:unsealed")
  uki_seal "$kver" "root=LABEL=root rw console=ttyS0 systemd.show_status=true no_timer_check composefs=$digest"
  mkdir -p "$tree/boot/EFI/Linux/os.efi.extra.d"
  mv "$scratch/seal/os.efi" "$tree/boot/EFI/Linux/os.efi"
  mv "$scratch/seal/test.addon.efi" "$tree/boot/EFI/Linux/os.efi.extra.d/test.addon.efi"
  tidy "$tree"
  add_layer "$layout" unsealed "$bundle" uki uki
  only_tag "$layout" uki
  rm -rf "$bundle" "$scratch/seal"
}

# uki_seal KVER CMDLINE - makes os.efi and test.addon.efi of what is in
# $scratch/seal
uki_seal() {
  local kver=$1 cmdline=$2 tools
  tools=$(cached ukify "$(hash_of "$here"/{uki,debian,tree}.sh "$(base_key)")" ukify_tree)
  # shellcheck disable=SC2016 # for the inner shell
  quietly unshare --mount sh -ec '
    mkdir -p "$1/mnt"
    mount --bind "$2" "$1/mnt"
    shift 2
    "$@"
  ' sh "$tools/tree" "$scratch/seal" chroot "$tools/tree" sh -ec '
    cd /mnt
    ukify build --linux=vmlinuz --initrd=initramfs.img --os-release=@os-release --uname="$1" \
      --cmdline="$2" --output=os.efi
    ukify build --cmdline=test.addon=1 --output=test.addon.efi
    chmod 644 os.efi test.addon.efi
  ' sh "$kver" "$cmdline"
}

# ukify_tree DIRECTORY - makes DIRECTORY/tree a Debian with ukify
ukify_tree() {
  local base
  base=$(image base)
  unpack "$base" base "$1/bundle"
  mv "$1/bundle/rootfs" "$1/tree"
  rm -rf "$1/bundle"
  quietly with_apt "$1/tree" trixie apt-get install -y --no-install-recommends systemd-ukify systemd-boot-efi
}
