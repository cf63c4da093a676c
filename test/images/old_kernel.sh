# shellcheck shell=bash
# A kernel from before Linux 6.6, which cannot mount composefs images: that of Debian 12. It
# is a directory of /usr/lib/modules with the kernel in it as vmlinuz, and no image.

old_kernel_key() { hash_of "$here/old_kernel.sh"; }

old_kernel_make() {
  local site list=$scratch/Packages.xz name file kver
  site=$(mirror bookworm)
  curl -fsS --retry 3 -o "$list" "$site/dists/bookworm/main/binary-amd64/Packages.xz"
  # The package of that name depends on the newest kernel.
  name=$(field "$list" linux-image-cloud-amd64 Depends)
  file=$(field "$list" "${name%% *}" Filename)
  curl -fsS --retry 3 -o "$scratch/kernel.deb" "$site/$file"
  dpkg-deb -x "$scratch/kernel.deb" "$scratch/kernel"
  kver=$(ls "$scratch/kernel/lib/modules")
  depmod --basedir "$scratch/kernel" "$kver"
  mv "$scratch/kernel/lib/modules/$kver" "$1/"
  mv "$scratch/kernel/boot/vmlinuz-$kver" "$1/$kver/vmlinuz"
  rm -r "$list" "$scratch"/kernel{,.deb}
}

# field LIST PACKAGE FIELD - prints a field of the first package with that name
field() {
  xz -dc "$1" | awk -v name="$2" -v key="$3: " '
    $1 == "Package:" { of = $2 == name }
    of && !found && index($0, key) == 1 { print substr($0, length(key) + 1); found = 1 }'
}
