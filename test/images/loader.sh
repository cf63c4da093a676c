# shellcheck shell=bash
# The boot loader of Debian sid, systemd-bootx64.efi: no image, but what a test gives to a
# machine. It is as new as the day it was fetched.

loader_key() { hash_of "$here"/{loader,debian,tree}.sh "$(base_key)"; }

# loader_make DIRECTORY - unpacks the package only: sid's others stay away
loader_make() {
  local dir=$1 base tree
  base=$(image base)
  unpack "$base" base "$dir/bundle"
  tree=$dir/bundle/rootfs
  # apt drops its privileges, and may not write to the directory then.
  quietly with_apt "$tree" sid sh -ec 'cd /tmp && apt-get -o APT::Sandbox::User=root download systemd-boot-efi'
  dpkg-deb -x "$tree"/tmp/systemd-boot-efi_*.deb "$dir/deb"
  mv "$dir/deb/usr/lib/systemd/boot/efi/systemd-bootx64.efi" "$dir"
  rm -rf "$dir/bundle" "$dir/deb"
}
