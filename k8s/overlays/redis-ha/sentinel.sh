#!/bin/sh
# Starts a Sentinel. It writes its state into its file, so the file is a copy. A
# Sentinel that starts without one asks the others.
set -eu
self="$(hostname).redis-sentinel"
until primary=$(sh /scripts/primary.sh); do sleep 1; done
until getent hosts "$primary" > /dev/null; do sleep 1; done # else it does not start
cat > /data/sentinel.conf <<END
port 26379
dir /data
# Names stay when a pod comes back; addresses do not.
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip $self
# The same at each start: to the others it is the same Sentinel.
sentinel myid $(hostname | sha1sum | cut -c 1-40)
requirepass $REDISCLI_AUTH
sentinel sentinel-pass $REDISCLI_AUTH
sentinel monitor comet $primary 6379 2
sentinel auth-pass comet $REDISCLI_AUTH
sentinel down-after-milliseconds comet 5000
sentinel failover-timeout comet 30000
sentinel parallel-syncs comet 1
END
chmod 600 /data/sentinel.conf
echo "starting $self, the primary is $primary"
exec redis-server /data/sentinel.conf --sentinel
