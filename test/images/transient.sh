# shellcheck shell=bash
# v1 with an /etc that begins as the image has it at each boot.

transient_key() { from_v1_key "$here"/{transient,programs}.sh; }

transient_make() { from_v1 "$1" transient transient transient_tree; }

transient_tree() { configure "$1" <<<$'[etc]\nmount = "transient"'; }
