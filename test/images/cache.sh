# shellcheck shell=bash
# Results that are kept by a hash of what they are made from.

cache_dir() {
  local dir=${XDG_CACHE_HOME:-$HOME/.cache}/sysupdate-image
  mkdir -p "$dir"
  echo "$dir"
}

say() { echo "test/images: $*" >&2; }

# quietly COMMAND... - hides what COMMAND prints, unless it is the last before the end
quietly() {
  "$@" >"$scratch/log" 2>&1
  rm "$scratch/log"
}

# hash_of FILE-OR-DIRECTORY-OR-TEXT... - names, modes and contents, not times
hash_of() {
  local input
  for input; do
    if [ -d "$input" ]; then
      (cd "$input" && find . \( -type f -o -type l \) -printf '%P %m %l\n' | LC_ALL=C sort &&
        find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum)
    elif [ -f "$input" ]; then
      sha256sum <"$input"
    else
      printf '%s\n' "$input"
    fi
  done | sha256sum | cut -c1-20
}

# cached KIND KEY MAKE ARG... - prints the directory that MAKE DIRECTORY ARG...
# fills, calling it only when there is none for KEY. The few that were used last
# stay; a name appears only when its content is complete.
cached() {
  local kind=$1 key=$2 make=$3 dir
  shift 3
  dir=$(cache_dir)/$kind-$key
  exec 9>"$(cache_dir)/.$kind.lock"
  flock 9
  if [ ! -d "$dir" ]; then
    local began=$SECONDS work=$scratch/$kind
    say "building $kind ..."
    rm -rf "$work" && mkdir "$work"
    "$make" "$work" "$@" >&2
    mv "$work" "$dir"
    say "built $kind in $((SECONDS - began)) s"
  fi
  touch "$dir"
  prune_cache "$kind" 8
  exec 9>&-
  echo "$dir"
}

# prune_cache KIND KEEP - removes all but the KEEP that were used last
prune_cache() {
  find "$(cache_dir)" -maxdepth 1 -type d -regex ".*/$1-[0-9a-f]+" -printf '%T@ %p\n' |
    sort -rn | tail -n "+$(($2 + 1))" | cut -d' ' -f2- | xargs -d '\n' -r rm -rf
}

# image NAME - prints the directory of the OCI layout of an image
image() {
  local key
  key=$("$1_key")
  cached "$1" "$key" "$1_make"
}
