#!/usr/bin/env bash
# Runs the tests of the executable (npm run test:binary) inside a system that has nothing but libc6,
# libstdc++6, libgcc-s1 and coreutils with what these depend on: every logpipe that a test starts is
# started in a chroot of it. Needs root, debootstrap and a Debian mirror.
#   test/binary/chroot.sh SUITE [TEST.test.ts...]        bullseye (glibc 2.31), bookworm, trixie
set -euo pipefail
suite=$1
shift
root=$(realpath "$(dirname "$0")/../..")
folder=$root/build/chroot
full=$folder/$suite
bare=$folder/$suite-bare
packages='libc6 libstdc++6 libgcc-s1 coreutils libacl1 libattr1 libselinux1 libgmp10 libpcre2-8-0'

# What is mounted here is seen by nobody else, and is gone when this ends, however it ends.
if [[ ${LOGPIPE_UNSHARED:-} != 1 ]]; then
  LOGPIPE_UNSHARED=1 exec unshare --mount --propagation private "$0" "$suite" "$@"
fi

mkdir -p "$folder"
if [[ ! -d $full ]]; then
  debootstrap --variant=minbase "$suite" "$full.partial" >"$folder/$suite.log"
  mv "$full.partial" "$full"
fi

# The files of the packages, and the links by which /lib is /usr/lib.
rm -rf "$bare"
mkdir -p "$bare"/{proc,dev,tmp,root,usr}
cp -a "$full"/{bin,lib,lib64} "$bare" 2>/dev/null || true
for name in bin lib lib64; do
  [[ -L $bare/$name ]] || { rm -rf "${bare:?}/$name"; mkdir "$bare/$name"; }
done
mkdir -p "$bare"/usr/{bin,lib,lib64}
for package in $packages; do
  chroot "$full" dpkg -L "$package" 2>/dev/null || true
done | sort -u | grep -E '/(lib|lib64|bin)/' | while read -r file; do
  [[ -d $full$file && ! -L $full$file ]] && continue
  mkdir -p "$bare$(dirname "$file")"
  cp -a "$full$file" "$bare$file"
done
cp "$root/dist/logpipe" "$bare/logpipe"
# Whoever sets up a machine or a container writes it; no package does.
mkdir -p "$bare/etc"
echo '127.0.0.1 localhost' >"$bare/etc/hosts"
echo "$suite: glibc $(chroot "$full" dpkg-query -W -f '${Version}' libc6), $(find "$bare"/usr "$bare"/lib/ -type f | wc -l) files beside the executable"

# What a test mounts below /tmp is to be seen inside, too.
mount --bind /tmp /tmp
mount --make-shared /tmp
mount -t proc proc "$bare/proc"
mount --bind /dev "$bare/dev"
mount --bind /tmp "$bare/tmp"
if [[ $root != /tmp/* ]]; then
  mkdir -p "$bare$root"
  mount --bind "$root" "$bare$root"
fi

wrapper=$folder/logpipe-in-$suite
printf '#!/bin/sh\nexec chroot %s /usr/bin/env -C "$PWD" /logpipe "$@"\n' "$bare" >"$wrapper"
chmod +x "$wrapper"
cd "$root"
LOGPIPE_BIN=$wrapper npm run --silent test:binary -- "$@"
