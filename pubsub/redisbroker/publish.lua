-- Appends a message to a channel's log and relays it, all or nothing.
-- KEYS[1]  the log, a stream
-- KEYS[2]  the idempotency key, a string; may be left out
-- ARGV[1]  PUBLISH, or SPUBLISH on Redis Cluster
-- ARGV[2]  how many messages to keep at least
-- ARGV[3]  how long to keep the log after its newest message, in ms
-- ARGV[4]  type, ARGV[5] data
-- ARGV[6]  how long to remember the idempotency key, in ms
-- ARGV[7]  data of more bytes is not relayed, only announced
-- ARGV[8]  the relay's pub/sub channel, in the log's slot. It is no key: were it
--          named as one, Redis Cluster would miss it wherever the slot is being
--          moved, and refuse (TRYAGAIN) until the move is over
-- ARGV[9]  the message's trace, ARGV[10] what stands before what is relayed; both
--          may be left out
-- Returns {id, 0}, or {id of the first publish, 1} if the key was seen before.
if KEYS[2] then
	local first = redis.call('GET', KEYS[2])
	if first then
		-- A write, so that WAIT on this connection is about the first publish too.
		redis.call('PEXPIRE', KEYS[2], ARGV[6])
		return {first, 1}
	end
end

-- The ID is pubsub.NextID: <ms>-<counter * 2^20 + generation>.
local now = redis.call('TIME')
local ms, seq = now[1] * 1000 + math.floor(now[2] / 1000), generation()
local prev, hinted = newest()
if prev ~= '0-0' then
	local last_ms, last_seq = string.match(prev, '(%d+)-(%d+)')
	last_ms = tonumber(last_ms)
	if ms <= last_ms then
		local counter = math.floor(tonumber(last_seq) / 1048576) + 1
		if counter > 1023 then
			ms = last_ms + 1
		else
			ms, seq = last_ms, counter * 1048576 + seq
		end
	end
end
local id = string.format('%.0f-%.0f', ms, seq)

local traced = ''
if ARGV[9] then
	traced = ARGV[10]
	redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], id, 'prev', prev, 'type', ARGV[4], 'data', ARGV[5], 'trace', ARGV[9])
else
	redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], id, 'prev', prev, 'type', ARGV[4], 'data', ARGV[5])
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if #ARGV[5] > 4096 then
	redis.pcall('SET', end_key, id, 'PX', ARGV[3])
elseif hinted then
	redis.pcall('DEL', end_key)
end
if KEYS[2] then
	redis.call('SET', KEYS[2], id, 'PX', ARGV[6])
end
if #ARGV[5] > tonumber(ARGV[7]) then
	redis.call(ARGV[1], ARGV[8], traced .. '! ' .. id .. ' ' .. prev)
else
	redis.call(ARGV[1], ARGV[8], traced .. id .. ' ' .. prev .. ' ' .. ARGV[4] .. '\n' .. ARGV[5])
end
return {id, 0}
