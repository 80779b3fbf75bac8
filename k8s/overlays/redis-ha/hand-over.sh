#!/bin/sh
# Before Redis is stopped: a primary hands over first, so that publishing stops
# for a moment and not until the Sentinels miss it.
set -u
role() { redis-cli -e role | head -n 1; }
[ "$(role)" = master ] || exit 0
for i in 0 1 2; do
  timeout 3 redis-cli -e -h "redis-sentinel-$i.redis-sentinel" -p 26379 sentinel failover comet && break
done
for _ in $(seq 20); do
  [ "$(role)" = master ] || exit 0
  sleep 1
done
