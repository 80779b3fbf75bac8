-- Has publish.lua also append to the index log of the channel, and relay there.
-- KEYS[#KEYS]  the index log, a stream. Its entries are those of the channels' logs, with
--              the same IDs, and have the field channel
-- ARGV[#ARGV-4]  the relay's pub/sub channel of the index log
-- ARGV[#ARGV-3]  minimum number of messages to keep in the index log
-- ARGV[#ARGV-2]  TTL of the index log, in ms
-- ARGV[#ARGV-1]  TTL of the newest message's ID, in ms, see publish.lua
-- ARGV[#ARGV]    the channel
index = {
	words = 5,
	key = KEYS[#KEYS],
	end_key = string.sub(KEYS[#KEYS], 1, -4) .. 'end',
	live = ARGV[#ARGV - 4],
	size = ARGV[#ARGV - 3],
	ttl = ARGV[#ARGV - 2],
	end_ttl = ARGV[#ARGV - 1],
	channel = ARGV[#ARGV],
}
index.prev, index.hint = newest(index.key, index.end_key)
if index.prev == '0-0' and index.hint then
	index.prev = index.hint
end

-- later returns the later one of two IDs.
local function later(a, b)
	if a == b or a == '0-0' then
		return b
	elseif b == '0-0' then
		return a
	end
	local ms_a, seq_a = string.match(a, '^(%d+)%-(%d+)$')
	local ms_b, seq_b = string.match(b, '^(%d+)%-(%d+)$')
	local earlier = tonumber(ms_a) - tonumber(ms_b)
	if earlier == 0 then
		earlier = tonumber(seq_a) - tonumber(seq_b)
	end
	return earlier < 0 and b or a
end

-- follow returns the newest ID of both logs; prev is that of the channel's. If that is the
-- newest one the index does not have it, as after the rule was off for a while: then the
-- next entry does not follow the newest one of the index, and readers find a gap.
function index.follow(prev)
	local last = later(prev, index.prev)
	if index.prev ~= '0-0' then
		index.prev = last
	end
	return last
end
