# shellcheck shell=bash
# An update that starts but never gets to boot-complete.target.

broken_key() { from_v1_key "$here"/broken.sh; }

broken_make() { from_v1 "$1" broken 3 broken_tree; }

broken_tree() {
  local tree=$1
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
}
