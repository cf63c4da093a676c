# shellcheck shell=bash
# Our programs as `make install` installs them, the agent of the tests, and the
# initramfs that holds our dracut module.

# programs - prints a directory with what our installation puts into an image
programs() {
  local tree=$scratch/programs
  if [ ! -e "$tree.complete" ]; then
    rm -rf "$tree" && mkdir "$tree"
    if [ -n "${PROGRAMS:-}" ]; then
      cp -a "$PROGRAMS/." "$tree"
    else
      make --silent -C "$repository" install OUT="$scratch/bin" DESTDIR="$tree" >&2
    fi
    rm -rf "$tree/usr/share/doc"
    touch "$tree.complete"
  fi
  echo "$tree"
}

# machine - prints a directory with what only test machines have
machine() {
  local tree=$scratch/machine
  if [ ! -e "$tree.complete" ]; then
    rm -rf "$tree" && cp -r "$here/machine" "$tree"
    (cd "$repository" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' \
      -o "$tree/usr/lib/test-machine/agent" ./internal/testing/vm/agent)
    touch "$tree.complete"
  fi
  echo "$tree"
}

# standalone TREE KVER - gives the unpacked image TREE, which has our programs, a standalone
# initramfs for its kernel: machines boot several times as fast with it
standalone() {
  local tree=$1 kver=$2
  quietly in_tree "$tree" sysupdate-image initramfs build --kernel-dir "/usr/lib/modules/$kver"
}

# dracut BASE-LAYOUT TREE KVER - prints the file with an initramfs that dracut made for a
# kernel of the unpacked image TREE, which has our programs. It is kept by what can be in
# it: not the updater nor what runs at shutdown.
dracut() {
  local base=$1 tree=$2 kver=$3 inputs=$scratch/inputs dir key
  dir=$(programs)
  rm -rf "$inputs" && cp -r "$dir" "$inputs"
  rm -rf "${inputs:?}"/usr/{bin,share,lib/sysupdate-image/{finalize,health,init}}
  key=$(hash_of "$here/programs.sh" "$(basename "$base")" "$inputs" "$kver")
  dir=$(cached initramfs "$key" dracut_make "$tree" "$kver")
  echo "$dir/initramfs.img"
}

dracut_make() {
  local dir=$1 tree=$2 kver=$3
  # What else is asked for is in our drop-in for dracut.conf.d.
  quietly in_tree "$tree" dracut --force --zstd --kver "$kver" /tmp/initramfs.img
  chmod 644 "$tree/tmp/initramfs.img"
  mv "$tree/tmp/initramfs.img" "$dir/initramfs.img"
}

# configure TREE - makes standard input the configuration of prepare-root, in the
# unpacked image TREE and in its initramfs: in an archive of its own before the
# others, which is what an initramfs is made of.
configure() {
  local tree=$1 name=usr/lib/sysupdate-image/prepare-root.toml file
  cat >"$tree/$name"
  chmod 644 "$tree/$name"
  touch --date='2025-08-09 00:00:00 UTC' "$tree/$name"
  for file in "$tree"/usr/lib/modules/*/initramfs.img; do
    (cd "$tree" && printf '%s\n' usr usr/lib usr/lib/sysupdate-image "$name" |
      cpio --quiet --create --format=newc --reproducible --owner=+0:+0) >"$scratch/initramfs.img"
    cat "$file" >>"$scratch/initramfs.img"
    mv "$scratch/initramfs.img" "$file"
  done
}
