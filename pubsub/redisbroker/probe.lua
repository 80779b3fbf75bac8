-- Publishes one probe, see relay_probe.go.
-- ARGV[1]  PUBLISH, or SPUBLISH on Redis Cluster
-- ARGV[2]  the probe's pub/sub channel
-- ARGV[3]  payload
-- Returns {epoch, master_replid, master_repl_offset, connected_slaves}, see
-- epoch_takeover.go.
local epoch = current_epoch()
local info = redis.call('INFO', 'replication')
redis.call(ARGV[1], ARGV[2], ARGV[3])
return {
	epoch, string.match(info, 'master_replid:(%x+)'),
	tonumber(string.match(info, 'master_repl_offset:(%d+)')), tonumber(string.match(info, 'connected_slaves:(%d+)')),
}
