#!/bin/sh
# Runs a command as in a pod: with a host name, an address of its own, and its
# folders as /data and /scripts. FOLDER has bin/, hosts and data/.
#   pod.sh FOLDER NAME ADDRESS SCRIPTS COMMAND...
set -eu
if [ "${IN_POD:-}" = "" ]; then
  IN_POD=1 exec unshare --mount --uts "$0" "$@"
fi
folder=$1 name=$2 address=$3 scripts=$4
shift 4
hostname "$name"
root="$folder/root/$name"
data="$folder/data/$name"
mkdir -p "$root" "$data"
mount -t tmpfs tmpfs "$root"
for d in bin lib lib64 usr etc dev proc tmp; do
  [ -e "/$d" ] || continue
  mkdir "$root/$d"
  mount --rbind "/$d" "$root/$d"
done
mkdir "$root/data" "$root/scripts" "$root/shims"
mount --bind "$data" "$root/data"
mount --bind "$scripts" "$root/scripts"
mount --bind "$folder/bin" "$root/shims"
mount --bind "$folder/hosts" "$root/etc/hosts"
exec env PATH="/shims:$PATH" POD_IP="$address" chroot "$root" "$@"
