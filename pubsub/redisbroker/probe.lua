-- Sends one probe, see probe.go.
-- ARGV[1]  PUBLISH, or SPUBLISH on Redis Cluster
-- ARGV[2]  the probe's pub/sub channel, ARGV[3] what to send
-- Returns the generation.
local gen = generation()
redis.call(ARGV[1], ARGV[2], ARGV[3])
return gen
