# shellcheck shell=bash
# images/debian, built as its users do: by buildah, from our packages. Only where the base
# comes from is another place: debootstrap gets it from the archive.

# packages_key - of what our packages are built from: that is committed
packages_key() {
  (cd "$repository" && git ls-tree -r HEAD) | grep -vE $'\t(test|hack|images)/' | sha256sum | cut -c1-20
}

packages_make() {
  # What a build of the programs has left makes this one a matter of seconds.
  GOCACHE=$(go env GOCACHE) GOMODCACHE=$(go env GOMODCACHE) quietly "$repository/packaging/build-deb" "$1"
}

plain_key() { hash_of "$(declare -f plain_make containers)" "$here/debian.sh" "$repository/images/debian/from-archive"; }

# plain_make LAYOUT - what Debian's own container image has
plain_make() {
  local site
  site=$(mirror trixie)
  rmdir "$1"
  quietly containers "$repository/images/debian/from-archive" localhost/plain "$site"
  quietly containers buildah push --quiet localhost/plain "oci:$1:plain"
}

debian_key() {
  local plain packages
  plain=$(plain_key)
  packages=$(packages_key)
  hash_of "$(declare -f debian_make)" "$repository/images/debian" "$plain" "$packages"
}

debian_make() {
  local layout=$1 plain packages context=$scratch/context
  plain=$(image plain)
  packages=$(image packages)
  rmdir "$layout"
  rm -rf "$context" && cp -a "$repository/images/debian" "$context"
  cp "$packages"/sysupdate-image_*.deb "$context"
  quietly containers skopeo copy --quiet "oci:$plain:plain" containers-storage:localhost/plain
  quietly containers buildah build --build-arg BASE=localhost/plain --build-arg KERNEL=linux-image-cloud-amd64 \
    --tag localhost/debian "$context"
  quietly containers buildah push --quiet localhost/debian "oci:$layout:debian"
}

# containers COMMAND... - with a storage of buildah that is gone at the end, and what it needs
# where this runs in a container itself
containers() {
  local proxy=
  mkdir -p "$scratch/containers"
  printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' \
    "$scratch/containers/storage" "$scratch/containers/run" >"$scratch/containers/storage.conf"
  eval "$(apt-config shell proxy Acquire::http::Proxy)"
  CONTAINERS_STORAGE_CONF=$scratch/containers/storage.conf BUILDAH_ISOLATION=chroot \
    http_proxy=${http_proxy:-$proxy} "$@"
}
