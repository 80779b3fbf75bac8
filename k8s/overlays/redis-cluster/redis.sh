#!/bin/sh
# Starts a node of the cluster, and has it look for the others.
set -eu
umask 077
cp /scripts/redis.conf /data/redis.conf
{
  echo "cluster-announce-ip $POD_IP"
  echo "masterauth $REDISCLI_AUTH"
  echo "requirepass $REDISCLI_AUTH"
} >> /data/redis.conf

# A node knows the others by their addresses, which are new when all pods were.
# So who was in a cluster calls the others by name, until it sees a whole one.
call_others() {
  [ "$(grep -c -e master -e slave /data/nodes.conf 2>/dev/null || true)" -gt 1 ] || return 0
  for _ in $(seq 60); do
    sleep 2
    for i in 0 1 2 3 4 5; do
      address=$(getent hosts "redis-cluster-$i.redis-cluster" | awk '{print $1; exit}') || continue
      if [ -n "$address" ] && [ "$address" != "$POD_IP" ]; then
        redis-cli cluster meet "$address" 6379 > /dev/null 2>&1 || true
      fi
    done
    redis-cli cluster nodes | grep -q -e fail -e handshake -e noaddr -e disconnected || break
  done
}
call_others &
exec redis-server /data/redis.conf
