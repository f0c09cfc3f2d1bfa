#!/usr/bin/env bash
# base-image.sh TAR: a small Debian with Python and pip, on which our images are built, and with what
# pods of the cluster tests ask with.  Made without any registry of images: about a minute.
set -euo pipefail
tar=${1:?file}
packages=python3,python3-pip,dnsutils,iproute2,procps,ca-certificates,dnsmasq-base
[ ! -s "$tar" ] || [ "$(cat "$tar.packages" 2>/dev/null)" != "$packages" ] || exit 0
echo "building the Debian of the cluster tests, once" >&2
root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root" "$tar.part"' EXIT
mkdir -p "$(dirname "$tar")"
debootstrap --variant=minbase --include="$packages" bookworm "$root" >"$tar.log" 2>&1 || {
  tail -n 5 "$tar.log" >&2
  exit 1
}
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/dev/*
tar --numeric-owner -C "$root" -cf "$tar.part" .
mv "$tar.part" "$tar"
printf %s "$packages" >"$tar.packages"
rm -f "$tar.log"
