#!/bin/sh
# Prints the name of the primary: what the Sentinels say; else a Redis that is
# one and has replicas; else, at the very first start, redis-0.
set -eu
for i in 0 1 2; do
  name=$(timeout 3 redis-cli -e -h "redis-sentinel-$i.redis-sentinel" -p 26379 sentinel get-master-addr-by-name comet 2>/dev/null | head -n 1) || continue
  case $name in redis-?.redis) echo "$name"; exit ;; esac
done
for i in 0 1 2; do
  replicas=$(timeout 3 redis-cli -e -h "redis-$i.redis" info replication 2>/dev/null | tr -d '\r' | sed -n 's/^connected_slaves://p') || continue
  if [ "${replicas:-0}" -gt 0 ]; then echo "redis-$i.redis"; exit; fi
done
# All are down: who was the primary at last has the newest data, and knows.
if [ -f /data/redis.conf ]; then
  name=$(sed -n 's/^replicaof \(redis-.\.redis\) .*/\1/p' /data/redis.conf | tail -n 1)
  echo "${name:-$(hostname).redis}"
  exit
fi
echo redis-0.redis
