# shellcheck shell=bash
# Unpacked root file systems, and layers made from what changed in them.

# in_tree TREE COMMAND... - runs COMMAND with TREE as its root directory. Its mounts
# end with it.
in_tree() {
  # shellcheck disable=SC2016 # for the inner shell
  unshare --mount --fork sh -ec '
    tree=$1
    shift
    mount -t proc proc "$tree/proc"
    mount -t tmpfs tmpfs "$tree/dev"
    for node in null zero full random urandom tty; do
      touch "$tree/dev/$node"
      mount --bind "/dev/$node" "$tree/dev/$node"
    done
    ln -s /proc/self/fd "$tree/dev/fd"
    mkdir -m 1777 "$tree/dev/shm"
    exec chroot "$tree" "$@"
  ' sh "$@"
}

# tidy TREE - removes what package tools leave behind, and gives what they wrote
# the time of Debian's release, for layers that differ only where content does
tidy() {
  local tree=$1 release
  rm -rf "$tree"/var/lib/apt/lists/* "$tree"/var/cache/{apt,debconf}/* "$tree"/var/cache/ldconfig/aux-cache \
    "$tree"/var/log/* "$tree"/var/lib/dpkg/*-old "$tree"/tmp/* "$tree"/var/tmp/* "$tree"/etc/*- "$tree"/run/*
  mkdir -p "$tree"/var/cache/apt/archives/partial "$tree"/var/lib/apt/lists/partial
  release='2025-08-09 00:00:00 UTC'
  find "$tree" -xdev -newermt "$release" -exec touch --no-dereference --date="$release" {} +
}

# unpack LAYOUT TAG BUNDLE - copies a layout to where layers can be added, and
# unpacks the image; the root file system is BUNDLE/rootfs
unpack() {
  umoci unpack --image "$1:$2" "$3"
}

# add_layer LAYOUT TAG BUNDLE NEW-TAG VERSION - makes what changed in BUNDLE/rootfs
# the top layer of a new image
add_layer() {
  umoci repack --refresh-bundle --image "$1:$4" "$3"
  umoci config --image "$1:$4" --created "$(date --utc +%Y-%m-%dT%H:%M:%SZ)" --manifest.annotation "org.opencontainers.image.version=$5" \
    --config.label "org.opencontainers.image.version=$5" --config.label containers.bootc=1
}

# derive LAYOUT FROM TAG - makes LAYOUT a copy of the layout FROM, blobs shared,
# that will have the image TAG only
derive() {
  local layout=$1 from=$2
  cp -r --link "$from/." "$layout"
  # These are rewritten in place.
  cp --remove-destination "$from/index.json" "$layout/index.json"
}

# only_tag LAYOUT TAG - drops the other images and their blobs
only_tag() {
  local tag
  for tag in $(umoci list --layout "$1"); do
    [ "$tag" = "$2" ] || umoci remove --image "$1:$tag"
  done
  umoci gc --layout "$1"
}
