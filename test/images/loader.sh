# shellcheck shell=bash
# The boot loader of Debian sid and what tells its choice: no image, but what a test gives to
# a machine or puts over a tree of base. It is as new as the day it was fetched.

loader_key() { hash_of "$here"/{loader,debian,tree}.sh "$(base_key)"; }

# loader_make DIRECTORY - unpacks the packages only: sid's others stay away
loader_make() {
  local dir=$1 base tree deb
  base=$(image base)
  unpack "$base" base "$dir/bundle"
  tree=$dir/bundle/rootfs
  # apt drops its privileges, and may not write to the directory then.
  # shellcheck disable=SC2016 # for the inner shell
  quietly with_apt "$tree" sid sh -ec 'cd /tmp && apt-get -o APT::Sandbox::User=root download "$@"' sh \
    systemd-boot-efi systemd-boot-tools libsystemd-shared
  for deb in "$tree"/tmp/*.deb; do
    dpkg-deb -x "$deb" "$dir/debs"
  done
  mv "$dir/debs/usr/lib/systemd/boot/efi/systemd-bootx64.efi" "$dir"
  mkdir -p "$dir/tree/usr/bin" "$dir/tree/usr/lib"
  mv "$dir/debs/usr/bin/bootctl" "$dir/tree/usr/bin"
  mv "$dir/debs/usr/lib/x86_64-linux-gnu" "$dir/tree/usr/lib"
  rm -rf "$dir/bundle" "$dir/debs"
}
