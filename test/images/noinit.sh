# shellcheck shell=bash
# An update without the program that the kernel would start.

noinit_key() { from_v1_key "$here"/noinit.sh; }

noinit_make() { from_v1 "$1" noinit 4 noinit_tree; }

noinit_tree() { rm "$1"/usr/sbin/init "$1"/usr/lib/systemd/systemd; }
