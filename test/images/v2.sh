# shellcheck shell=bash
# The update: each kind of change that a layer can make.

v2_key() { from_v1_key "$here"/{v2,debian}.sh; }

v2_make() { from_v1 "$1" v2 2 v2_tree; }

v2_tree() {
  local tree=$1
  quietly with_apt "$tree" trixie apt-get install -y --no-install-recommends hello
  in_tree "$tree" useradd --system --no-create-home --shell /usr/sbin/nologin hello
  echo 'This is version 2 of the example image.' >"$tree/etc/motd"
  rm "$tree/usr/share/test-machine/only-in-1"
}
