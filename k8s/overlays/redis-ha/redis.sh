#!/bin/sh
# Starts Redis as a replica of the primary, or as the primary if there is none.
set -eu
self="$(hostname).redis"
if ! primary=$(sh /scripts/primary.sh); then
  # All are down. The file of each has its last role. A server without a file has
  # not run yet: redis-0 is its primary.
  primary=redis-0.redis
  if [ -f /data/redis.conf ]; then
    primary=$(sed -n 's/^replicaof \(redis-.\.redis\) .*/\1/p' /data/redis.conf | tail -n 1)
  fi
  primary=${primary:-$self}
fi
# Sentinel has Redis rewrite this file when roles change.
cp /scripts/redis.conf /data/redis.conf
{
  echo "replica-announce-ip $self"
  echo "masterauth $REDISCLI_AUTH"
  echo "requirepass $REDISCLI_AUTH"
  if [ "$primary" != "$self" ]; then echo "replicaof $primary 6379"; fi
} >> /data/redis.conf
chmod 600 /data/redis.conf
echo "starting $self, the primary is $primary"
exec redis-server /data/redis.conf
