#!/bin/sh
# Before Redis is stopped: a primary hands over first, so that publishing stops
# for a moment and not until the Sentinels miss it.
set -u
self="$(hostname).redis"
[ "$(redis-cli -e role | head -n 1)" = master ] || exit 0
for i in 0 1 2; do
  timeout 3 redis-cli -e -h "redis-sentinel-$i.redis-sentinel" -p 26379 sentinel failover comet && break
done
for _ in $(seq 20); do
  [ "$(sh /scripts/primary.sh)" = "$self" ] || exit 0
  sleep 1
done
