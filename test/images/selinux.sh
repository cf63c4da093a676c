# shellcheck shell=bash
# A base with Debian's SELinux policy, and the programs that label files by it.

selinux_packages=(selinux-policy-default policycoreutils selinux-utils)

selinux_key() {
  local base
  base=$(base_key)
  hash_of "$here"/{selinux,tree,debian}.sh "$base"
}

selinux_make() {
  local layout=$1 bundle=$scratch/bundle base tree
  base=$(image base)
  tree=$bundle/rootfs
  rm -rf "$bundle"
  derive "$layout" "$base"
  unpack "$layout" base "$bundle"
  quietly with_apt "$tree" trixie apt-get install -y --no-install-recommends "${selinux_packages[@]}"
  printf '%s\n' SELINUX=permissive SELINUXTYPE=default >"$tree/etc/selinux/config"
  tidy "$tree"
  add_layer "$layout" base "$bundle" selinux selinux
  only_tag "$layout" selinux
  rm -rf "$bundle"
}
