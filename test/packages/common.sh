# shellcheck shell=bash
# What the tests of packages share. They need $work, a directory for their files.
# shellcheck disable=SC2154

say() { echo "${0#"$PWD/"}: $*"; }

fail() {
  echo "${0#"$PWD/"}: $*" >&2
  exit 1
}

# needs PROGRAM PACKAGE... - fails with the packages to install unless PROGRAM is there
needs() {
  command -v "$1" >/dev/null || fail "needs $1: apt-get install ${*:2}"
}

# logged WHAT COMMAND... - hides what COMMAND prints; if it fails, shows the end of that and fails
logged() {
  local what=$1
  shift
  "$@" >"$work/log" 2>&1 || {
    tail -n 30 "$work/log" >&2
    fail "$what"
  }
}

# built_twice TOOL DIR - has packaging/build-TOOL write to DIR, and compares what a second build
# makes of the same commit: by another user, elsewhere, with another time zone, language and umask
built_twice() {
  local tool=$1 dir=$2 file
  mkdir -p "$dir" "$work/again"
  chmod 755 "$work" # for those who are not root
  logged 'cannot build' "packaging/build-$tool" "$dir"
  elsewhere
  (
    cd "$work/elsewhere/source" || exit
    # shellcheck disable=SC2016 # for the inner shell
    TZ=Asia/Kathmandu LC_ALL=C.UTF-8 TMPDIR=$work/elsewhere HOME=/nowhere GOCACHE=$work/elsewhere/go-build GOMODCACHE=$work/elsewhere/modules \
      GOFLAGS=-modcacherw GOPROXY=file://$work/elsewhere/proxy \
      logged 'cannot build again' setpriv --reuid=nobody --regid=nogroup --clear-groups sh -c 'umask 077 && exec "$@"' sh "packaging/build-$tool" "$work/again"
  ) || exit
  for file in "$work/again"/*; do
    same "$file" "$dir/${file##*/}" || fail "two builds of ${file##*/} differ"
  done
  rm -rf "$work/elsewhere"
  say 'two builds are the same'
}

# elsewhere - makes what nobody builds from: a clone, and the modules, which are root's
elsewhere() {
  mkdir -p "$work/elsewhere"
  git clone --quiet . "$work/elsewhere/source"
  cp -r "$(go env GOMODCACHE)/cache/download" "$work/elsewhere/proxy"
  chown -R nobody "$work/elsewhere" "$work/again"
}

# same FILE FILE - compares two packages
same() {
  case $1 in
    *.pkg.tar.zst)
      arch_content "$1" >"$work/one"
      arch_content "$2" >"$work/two"
      [ -s "$work/one" ] && diff "$work/one" "$work/two"
      ;;
    *) cmp "$1" "$2" ;;
  esac
}

# arch_content FILE - lists what a package of Arch has, but for .BUILDINFO: it names the directory
# in which the package was built, which whoever builds it again has to use too
arch_content() {
  local dir
  dir=$(mktemp -d -p "$work")
  tar --extract --preserve-permissions --delay-directory-restore --directory "$dir" --file "$1" || fail "cannot read $1"
  zcat "$dir/.MTREE" | grep -v '^\./\.BUILDINFO ' >"$dir/mtree"
  rm "$dir/.BUILDINFO" "$dir/.MTREE"
  (cd "$dir" && find . ! -name . -printf '%p %m %u %Ts %l\n' -type f -exec sha256sum {} \; | grep -v '^./mtree ' | LC_ALL=C sort)
  rm -rf "$dir"
}

# older TOOL DIR - has packaging/build-TOOL build version 0.0.9 in DIR. It has a manual page that
# today's version lacks.
older() {
  local tool=$1 dir=$2 version
  version=$(sed -nE 's/^VERSION +\?= *//p' Makefile)
  mkdir -p "$dir"
  rm -rf "$work/older"
  git clone --quiet . "$work/older"
  (
    cd "$work/older" || exit
    echo '.TH gone 7' >docs/man/sysupdate-image-gone.7
    sed -i "s/${version//./\\.}/0.0.9/" Makefile packaging/debian/changelog packaging/rpm/sysupdate-image.spec packaging/arch/PKGBUILD
    git add .
    git -c user.name=test -c user.email=test@example.org commit --quiet --message 'an older version'
  )
  GOCACHE=$(go env GOCACHE) GOMODCACHE=$(go env GOMODCACHE) logged 'cannot build an older version' "$work/older/packaging/build-$tool" "$dir"
  rm -rf "$work/older"
}

# documented TREE - makes the tree one that has manual pages and documentation, as most systems
# have, which Debian's base image of the tests leaves out
documented() {
  local tree=$1 dir
  rm -f "$tree/etc/dpkg/dpkg.cfg.d/image"
  for dir in doc licenses man/man5 man/man7 man/man8; do
    mkdir -p "$tree/usr/share/$dir"
    : >"$tree/usr/share/$dir/of-another-package"
  done
}

# files TREE - lists all files with their contents, but for the lists and logs of package tools
files() {
  (cd "$1" && find . -xdev \( -path ./var/lib/dpkg -o -path ./var/lib/pacman -o -path ./var/lib/rpm -o -path ./usr/lib/sysimage \
    -o -path ./var/log -o -path ./var/cache -o -path ./packages -o -path ./older -o -path ./tmp \
    -o -path ./var/tmp -o -path ./var/lib/initramfs-tools \) -prune -o \( -type f -exec sha256sum {} + \) -o -printf '%p %m %l\n' | LC_ALL=C sort)
}

# is_version TREE VERSION - fails unless our program there has the version, and the manual page of
# the older one is there only with that
is_version() {
  local tree=$1 version=$2
  in_tree "$tree" sysupdate-image --version | grep -qxF "sysupdate-image version $version" || fail "the program is not of version $version"
  case $(find "$tree/usr/share/man" -name 'sysupdate-image-gone.7*') in
    '') [ "$version" != 0.0.9 ] || fail 'the older version lacks its manual page' ;;
    *) [ "$version" = 0.0.9 ] || fail "a file of the older version stays" ;;
  esac
}
