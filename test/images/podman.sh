# shellcheck shell=bash
# v1 with podman, whose containers need a real file system below /var. Its /etc is a
# full copy, bound from the physical root, as bootc has it.

podman_key() { from_v1_key "$here"/{podman,debian,programs}.sh; }

podman_make() { from_v1 "$1" podman podman podman_tree; }

podman_tree() {
  local tree=$1
  # What of ours is in /etc/containers stays.
  quietly with_apt "$tree" trixie apt-get -o Dpkg::Options::=--force-confold install -y --no-install-recommends \
    podman crun
  # The test machines have no network.
  rm -f "$tree"/etc/systemd/system/*.wants/netavark-*
  configure "$tree" <<<$'[etc]\nmount = "bind"'
}
