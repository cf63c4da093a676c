# shellcheck shell=bash
# Debian's packages, from the mirror that this machine's apt uses.

# mirror SUITE - prints the archive that has SUITE
mirror() { "$here/../../hack/mirror" "$1"; }

# with_apt TREE SUITE COMMAND... - runs COMMAND in TREE, where apt-get is ready to
# install packages of SUITE; none of this is left in TREE. The mirror may be a
# snapshot: that its lists are old is no reason to refuse them here.
with_apt() {
  local tree=$1 suite=$2 site proxy=
  shift 2
  site=$(mirror "$suite")
  eval "$(apt-config shell proxy Acquire::http::Proxy)"
  rm -f "$tree/etc/resolv.conf"
  cp /etc/resolv.conf "$tree/etc/resolv.conf"
  cp /etc/hosts "$tree/etc/hosts"
  echo "deb $site $suite main" >"$tree/etc/apt/sources.list"
  DEBIAN_FRONTEND=noninteractive INITRD=No http_proxy=${http_proxy:-$proxy} in_tree "$tree" sh -ec \
    'apt-get -o Acquire::Check-Valid-Until=false update && "$@"' sh "$@"
  rm -f "$tree"/etc/{resolv.conf,hosts,apt/sources.list}
}
