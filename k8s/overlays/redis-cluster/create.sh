#!/bin/sh
# Makes a cluster of the six, once all answer. One that is there is left alone.
set -eu
command="redis-cli -e"
seq='0 1 2 3 4 5'
for i in $seq; do
  until timeout 5 $command -h "redis-cluster-$i.redis-cluster" ping > /dev/null 2>&1; do
    echo "waiting for redis-cluster-$i"
    sleep 2
  done
done
state() { $command -h "redis-cluster-$1.redis-cluster" cluster info | tr -d '\r' | sed -n "s/^$2://p"; }
whole() {
  for i in $seq; do
    [ "$(state "$i" cluster_state)" = ok ] && [ "$(state "$i" cluster_known_nodes)" -ge 6 ] || return 1
  done
}
known=1
for i in $seq; do
  if [ "$(state "$i" cluster_known_nodes)" -gt 1 ]; then known=2; fi
done
if [ $known = 1 ]; then
  nodes=
  for i in $seq; do
    nodes="$nodes $(getent hosts "redis-cluster-$i.redis-cluster" | awk '{print $1; exit}'):6379"
  done
  # shellcheck disable=SC2086
  redis-cli --cluster create $nodes --cluster-replicas 1 --cluster-yes
fi
for _ in $(seq 60); do
  if whole; then
    echo "the cluster is whole"
    exit
  fi
  sleep 2
done
echo "the cluster is not whole: redis-cli --cluster check redis-cluster-0.redis-cluster:6379 says why" >&2
exit 1
