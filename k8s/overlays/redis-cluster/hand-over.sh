#!/bin/sh
# Runs before Redis is stopped. A primary hands over to a replica first, so that
# publishing stops for a moment, and not until the others miss it.
set -u
role() { redis-cli -e role; }
[ "$(role | head -n 1)" = master ] || exit 0
replica=$(role | sed -n 3p) # master, its offset, then the address of its first replica
[ -n "$replica" ] || exit 0
timeout 3 redis-cli -e -h "$replica" cluster failover
for _ in $(seq 20); do
  [ "$(role | head -n 1)" = master ] || exit 0
  sleep 1
done
