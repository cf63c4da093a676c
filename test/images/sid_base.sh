# shellcheck shell=bash
# Debian sid with a kernel, as base is Debian trixie.

# sid_base TREE PACKAGE... - makes TREE such a system, with these packages too
sid_base() {
  local tree=$1
  shift
  quietly debootstrap --variant=minbase --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    sid "$tree" "$(mirror sid)"
  rm -rf "${tree:?}"/dev/* "$tree"/usr/share/{doc,info,locale,man}/*
  quietly with_apt "$tree" sid apt-get install -y --no-install-recommends "${base_packages[@]}" "$@"
  sid_base_kernel "$tree"
  base_settings "$tree"
}

# sid_base_kernel TREE - is base_kernel where /boot has only links to what is below
# /usr already
sid_base_kernel() {
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
