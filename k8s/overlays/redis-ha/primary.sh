#!/bin/sh
# Prints the name of the primary, as the Sentinels know it, else as the Redis
# servers report it. Fails if neither know it: a guess could make a second primary.
set -eu
for i in 0 1 2; do
  name=$(timeout 3 redis-cli -e -h "redis-sentinel-$i.redis-sentinel" -p 26379 sentinel get-master-addr-by-name comet 2>/dev/null | head -n 1)
  case $name in redis-?.redis) echo "$name"; exit ;; esac
done
replication() { timeout 3 redis-cli -e -h "redis-$1.redis" info replication 2>/dev/null | tr -d '\r'; }
for i in 0 1 2; do
  replicas=$(replication $i | sed -n 's/^connected_slaves://p')
  if [ "${replicas:-0}" -gt 0 ]; then echo "redis-$i.redis"; exit; fi
done
for i in 0 1 2; do
  name=$(replication $i | sed -n 's/^master_host://p')
  if [ -n "$name" ]; then echo "$name"; exit; fi
done
exit 1
