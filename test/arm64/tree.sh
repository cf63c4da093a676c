# shellcheck shell=bash
# A small Debian for arm64, unpacked without running any of its programs. For a script with
# $here, the directory test, and $scratch.
# shellcheck disable=SC2154

arm64_packages=(
  systemd systemd-sysv udev systemd-boot-efi base-files base-passwd bash dash coreutils
  util-linux mount grep sed kmod linux-image-cloud-arm64 e2fsprogs dosfstools fdisk
)

arm64_key() { hash_of "$here/arm64/tree.sh" "${arm64_packages[@]}"; }

# arm64_apt DIR COMMAND... - runs apt-get for arm64 and trixie with all its state in DIR
arm64_apt() {
  local dir=$1
  shift
  quietly apt-get -o Dir::State="$dir/state" -o Dir::Cache="$dir/cache" -o Dir::Etc="$dir/etc" -o Dir::State::status=/dev/null \
    -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Acquire::Check-Valid-Until=false -o APT::Sandbox::User=root \
    --no-install-recommends -y "$@"
}

# arm64_make DIR - fills DIR with a root file system
arm64_make() {
  local tree=$1 apt=$scratch/apt deb kver
  mkdir -p "$apt"/state/lists/partial "$apt"/cache/archives/partial "$apt"/etc/{apt.conf.d,preferences.d,sources.list.d}
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror trixie) trixie main" >"$apt/etc/sources.list"
  arm64_apt "$apt" update
  arm64_apt "$apt" --download-only install "${arm64_packages[@]}"
  # base-files has the links from /bin to /usr/bin that the others rely on.
  for deb in "$apt"/cache/archives/base-files_*.deb "$apt"/cache/archives/*.deb; do
    dpkg-deb --extract "$deb" "$tree"
  done
  rm -rf "$tree"/usr/share/{doc,info,locale,man,lintian,bug} "$tree"/usr/lib/*/perl* "$tree"/boot/System.map*
  kver=$(ls "$tree/usr/lib/modules")
  mv "$tree/boot/vmlinuz-$kver" "$tree/usr/lib/modules/$kver/vmlinuz"
  mv "$tree/boot/config-$kver" "$tree/usr/lib/modules/$kver/config"
  depmod --basedir "$tree" "$kver"
  # What the scripts of the packages would do, as far as booting needs it.
  cp "$tree/usr/share/base-passwd/passwd.master" "$tree/etc/passwd"
  cp "$tree/usr/share/base-passwd/group.master" "$tree/etc/group"
  : >"$tree/etc/machine-id"
  echo machine >"$tree/etc/hostname"
  mkdir -p "$tree/sysroot" "$tree/var/cache/ldconfig"
}
