# shellcheck shell=bash
# The image of hack/bench-apply: 1.8 GB of Debian's packages in eight layers, with
# large programs and many small files as images have them. It boots nothing. Tags:
#
#   bench   its layers as gzip
#   next    the same with another last layer
#
# and bench_zstd has the same layers as zstd.

# One layer a line; names are regular expressions.
bench_layers=(
  'linux-image-6[.]12[.].*-cloud-amd64 systemd udev libc6 coreutils bash libicu76 locales'
  'libllvm19 libclang-cpp19'
  'golang-1.24-go golang-1.24-src'
  'openjdk-21-jre-headless'
  'firefox-esr'
  'libboost1.83-dev git perl-modules-5.40'
  'libreoffice-core libreoffice-common libwebkit2gtk-4.1-0'
  'emacs-common vim-runtime fonts-noto-core python3-numpy'
)
bench_next='qemu-system-x86'

bench_key() { hash_of "$here"/{bench,debian}.sh; }

bench_make() {
  local layout=$1 packages site
  site=$(mirror trixie)
  rmdir "$layout" # umoci makes it
  curl -fsS "$site/dists/trixie/main/binary-amd64/Packages.xz" | xz -dc >"$scratch/packages"
  umoci init --layout "$layout"
  umoci new --image "$layout:bench"
  for packages in "${bench_layers[@]}"; do
    if [ "$packages" = "${bench_layers[-1]}" ]; then
      umoci tag --image "$layout:bench" next
      bench_layer "$layout" next "$bench_next"
    fi
    bench_layer "$layout" bench "$packages"
  done
  umoci gc --layout "$layout"
}

# bench_layer LAYOUT TAG PACKAGES - adds a layer that holds the packages, from $site
bench_layer() {
  local layout=$1 tag=$2 package tree=$scratch/tree
  rm -rf "$tree" && mkdir "$tree"
  set -f # the names are not for the shell to expand
  for package in $3; do
    curl -fsS -o "$scratch/deb" "$site/$(bench_package "$package")"
    dpkg-deb -x "$scratch/deb" "$tree"
  done
  set +f
  rm "$scratch/deb"
  bench_kernel "$tree"
  tar -C "$tree" --sort=name --numeric-owner --owner=0 --group=0 -cf "$scratch/layer.tar" .
  umoci raw add-layer --image "$layout:$tag" "$scratch/layer.tar"
  rm -rf "$tree" "$scratch/layer.tar"
}

# bench_package NAME - prints where the mirror has a package
bench_package() {
  awk -v RS= -v name="^$1\$" '$2 ~ name' "$scratch/packages" | sed -n 's/^Filename: //p' | tail -n 1
}

# bench_kernel TREE - puts the kernel, if there is one, where images have it, with
# the directories that an image must have, and an initramfs that is of no use
bench_kernel() {
  local tree=$1 kernel dir
  for kernel in "$tree"/boot/vmlinuz-*; do
    [ -e "$kernel" ] || continue
    dir=$(echo "$tree"/usr/lib/modules/*)
    mv "$kernel" "$dir/vmlinuz"
    rm -r "$tree/boot"
    mkdir -p "$tree"/{boot,dev,proc,run,sys,sysroot,etc,var,usr} "$tree/usr/lib/bootc"
    touch "$tree/usr/lib/bootc/initramfs-setup"
    (cd "$tree" && find usr/lib/systemd usr/lib/bootc | LC_ALL=C sort | cpio --quiet --reproducible -o -H newc) | zstd -q >"$dir/initramfs.img"
    printf '%s\n' 'ID=bench' 'PRETTY_NAME="Image to measure"' >"$tree/usr/lib/os-release"
  done
}

bench_zstd_key() { bench_key; }

bench_zstd_make() {
  local bench
  bench=$(image bench)
  skopeo --insecure-policy copy --quiet --dest-compress-format zstd "oci:$bench:bench" "oci:$1:bench"
}
