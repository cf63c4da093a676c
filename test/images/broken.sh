# shellcheck shell=bash
# An update that starts but never gets to boot-complete.target.

broken_key() {
  local v1
  v1=$(v1_key)
  hash_of "$here"/broken.sh "$v1"
}

broken_make() {
  local layout=$1 bundle=$scratch/bundle tree v1
  v1=$(image v1)
  tree=$bundle/rootfs
  rm -rf "$bundle"
  derive "$layout" "$v1"
  unpack "$layout" v1 "$bundle"

  cat >"$tree/usr/lib/systemd/system/test-broken.service" <<'EOF'
# Part of the test machines only: a service that this image broke.
[Unit]
Description=Service that a healthy boot requires
Before=boot-complete.target

[Service]
Type=oneshot
ExecStart=/usr/bin/false

[Install]
RequiredBy=boot-complete.target
EOF
  in_tree "$tree" systemctl --quiet enable test-broken.service
  sed -i 's/^IMAGE_VERSION=.*/IMAGE_VERSION=3/' "$tree/usr/lib/os-release"
  tidy "$tree"

  add_layer "$layout" v1 "$bundle" broken 3
  only_tag "$layout" broken
  rm -rf "$bundle"
}
