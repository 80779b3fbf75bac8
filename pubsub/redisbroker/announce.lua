-- Registers a node with its report, or removes it from the registry.
-- KEYS[1]  alive, a sorted set of nodes by the time in ms at which they expire
-- KEYS[2]  reports, a hash of node to bytes
-- KEYS[3]  channels, a hash of node to bytes; only of nodes that were asked
-- KEYS[4]  asked, a string that exists while a node asks for channels
-- ARGV[1]  node
-- ARGV[2]  time until the node expires, in ms; 0 removes it
-- ARGV[3]  report
-- ARGV[4]  channels, or ''
-- Returns 1 if a node asks for channels, else 0.
local now = redis.call('TIME')
local ms, ttl = now[1] * 1000 + math.floor(now[2] / 1000), tonumber(ARGV[2])

local function forget(node)
	redis.call('ZREM', KEYS[1], node)
	redis.call('HDEL', KEYS[2], node)
	redis.call('HDEL', KEYS[3], node)
end

-- Remove expired nodes, at most 100 per call.
for _, node in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', ms), 'LIMIT', 0, 100)) do
	forget(node)
end
if ttl == 0 then
	forget(ARGV[1])
	return 0
end
redis.call('ZADD', KEYS[1], string.format('%.0f', ms + ttl), ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
if ARGV[4] == '' then
	redis.call('HDEL', KEYS[3], ARGV[1])
else
	redis.call('HSET', KEYS[3], ARGV[1], ARGV[4])
end
for i = 1, 3 do
	redis.call('PEXPIRE', KEYS[i], ttl, 'NX')
	redis.call('PEXPIRE', KEYS[i], ttl, 'GT') -- never shorten what another node has set
end
return redis.call('EXISTS', KEYS[4])
