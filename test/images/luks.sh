# shellcheck shell=bash
# Images whose initramfs, by dracut, opens an encrypted root with a TPM.
#
#   luks   v1 with it, and with swtpm(8), a TPM for machines that have none
#   luks2  luks, as version 2

luks_key() { from_v1_key "$here"/{luks,debian}.sh; }
luks2_key() { from_v1_key "$here"/{luks,debian}.sh 2; }

luks_make() { from_v1 "$1" luks 1 luks_tree; }
luks2_make() { from_v1 "$1" luks2 2 luks_tree; }

# luks_tree TREE - puts the files of Debian's packages into the tree, and makes the initramfs,
# which is kept by what can be in it, as that of v1
luks_tree() {
  local tree=$1 kver debs deb inputs=$scratch/luks-inputs dir
  kver=$(ls "$tree/usr/lib/modules")
  debs=$(cached luks_debs "$(hash_of "$here"/{luks,debian}.sh "$(base_key)")" luks_debs)
  for deb in "$debs"/*.deb; do
    dpkg-deb -x "$deb" "$tree"
  done
  rm -rf "$tree"/usr/share/{doc,man,locale}/*
  rm -rf "$inputs" && cp -r "$(programs)" "$inputs"
  rm -rf "${inputs:?}"/usr/{bin,share,lib/sysupdate-image/{finalize,health,init}}
  dir=$(cached luks_initramfs "$(hash_of "$here/luks.sh" "$(base_key)" "$inputs" "$kver")" luks_initramfs "$tree" "$kver")
  install -m 644 "$dir/initramfs.img" "$tree/usr/lib/modules/$kver/initramfs.img"
}

# luks_debs DIRECTORY - downloads the packages with those that they need. The kernel has drivers
# for TPMs built in. Nothing but dracut's module needs tpm2-tools.
luks_debs() {
  local tree=$1/bundle/rootfs
  unpack "$(image base)" base "$1/bundle"
  quietly with_apt "$tree" trixie apt-get -o APT::Sandbox::User=root install -y --no-install-recommends --download-only \
    cryptsetup-bin systemd-cryptsetup libtss2-esys-3.0.2-0t64 libtss2-mu-4.0.1-0t64 libtss2-rc0t64 libtss2-tcti-device0t64 tpm2-tools swtpm
  mv "$tree"/var/cache/apt/archives/*.deb "$1"
  rm -rf "$1/bundle"
}

luks_initramfs() {
  local dir=$1 tree=$2 kver=$3
  quietly in_tree "$tree" dracut --force --zstd --add "systemd-cryptsetup crypt tpm2-tss" --kver "$kver" /tmp/initramfs.img
  mv "$tree/tmp/initramfs.img" "$dir/initramfs.img"
}
