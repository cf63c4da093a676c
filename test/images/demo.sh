# shellcheck shell=bash
# What the demo installs and updates to: images made from images/debian, by Containerfiles.

demo_key() {
  local debian theirs
  debian=$(debian_key)
  theirs=$(machine)
  hash_of "$(declare -f demo_make demo_containerfiles)" "$debian" "$theirs"
}

# demo_make LAYOUT - makes demo1, demo2 and demo3: all three are in one layout
demo_make() {
  local layout=$1 debian context=$scratch/context number
  debian=$(image debian)
  rmdir "$layout"
  rm -rf "$context" && mkdir "$context"
  cp -a "$(machine)" "$context/machine"
  demo_containerfiles "$context"
  quietly containers skopeo copy --quiet "oci:$debian:debian" containers-storage:localhost/debian-base
  for number in 1 2 3; do
    quietly containers buildah build --file "$context/Containerfile.$number" --tag "localhost/demo$number" "$context"
    quietly containers buildah push --quiet "localhost/demo$number" "oci:$layout:demo$number"
  done
}

# demo_containerfiles DIRECTORY - a first version, one with a package more, and one that is bad
demo_containerfiles() {
  cat >"$1/Containerfile.1" <<'END'
FROM localhost/debian-base
# A registry to update from, in the machine itself, which has no other network, and an agent
# that runs commands.
COPY machine /
RUN apt-get update && \
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends docker-registry && \
    rm -rf /var/cache/* /var/lib/apt/* /var/log/* /etc/*- /run/adduser && \
    rm -f /etc/systemd/system/*.wants/docker-registry.service && \
    systemctl disable systemd-networkd.service systemd-resolved.service systemd-timesyncd.service && \
    systemctl enable test-agent.service && \
    passwd --delete root && \
    echo 'This is version 1.' >/etc/motd
LABEL org.opencontainers.image.version=1
END
  cat >"$1/Containerfile.2" <<'END'
FROM localhost/demo1
RUN apt-get update && \
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends hello && \
    rm -rf /var/cache/* /var/lib/apt/* /var/log/* /etc/*- && \
    mkdir -p /usr/lib/sysupdate-image/check.d && \
    ln -s /usr/bin/hello /usr/lib/sysupdate-image/check.d/20-hello && \
    echo 'This is version 2.' >/etc/motd
LABEL org.opencontainers.image.version=2
END
  cat >"$1/Containerfile.3" <<'END'
FROM localhost/demo2
# The program is broken, which the check of version 2 notices.
RUN printf '#!/bin/sh\necho "hello: cannot greet anybody" >&2\nexit 1\n' >/usr/bin/hello && \
    echo 'This is version 3.' >/etc/motd
LABEL org.opencontainers.image.version=3
END
}
