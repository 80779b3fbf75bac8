-- Reads the node registry, see announce.lua.
-- KEYS     as in announce.lua
-- ARGV[1]  for how long to ask nodes for their channels, in ms; 0 does not ask
-- Returns {node, report, channels or '', node, …}.
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
local all = {}
for _, node in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', ms), '+inf')) do
	all[#all + 1] = node
	all[#all + 1] = redis.call('HGET', KEYS[2], node) or ''
	all[#all + 1] = redis.call('HGET', KEYS[3], node) or ''
end
if ARGV[1] ~= '0' then
	redis.call('SET', KEYS[4], '', 'PX', ARGV[1])
end
return all
