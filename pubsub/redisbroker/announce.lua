-- Puts what a node says of itself on the board, or takes it off.
-- KEYS[1]  who is there, a sorted set of node by the time in ms at which it is gone
-- KEYS[2]  reports, a hash of node to bytes
-- KEYS[3]  channels, a hash of node to bytes; a node that was not asked has none
-- KEYS[4]  there while somebody asks for channels, a string
-- ARGV[1]  node
-- ARGV[2]  for how long, in ms; 0 takes it off
-- ARGV[3]  report, ARGV[4] channels, or '' for none
-- Returns 1 if somebody asks for channels, else 0.
local now = redis.call('TIME')
local ms, ttl = now[1] * 1000 + math.floor(now[2] / 1000), tonumber(ARGV[2])

local function forget(node)
	redis.call('ZREM', KEYS[1], node)
	redis.call('HDEL', KEYS[2], node)
	redis.call('HDEL', KEYS[3], node)
end

-- Who is gone, some at a time.
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
	redis.call('PEXPIRE', KEYS[i], ttl, 'GT') -- never sooner than another node needs
end
return redis.call('EXISTS', KEYS[4])
