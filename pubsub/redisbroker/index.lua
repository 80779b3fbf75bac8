-- Has publish.lua also append to the index log of the channel, and relay there.
-- KEYS[#KEYS]  the index log, a stream. Its entries have the IDs of those in the channels'
--              logs, and one field, relay: the payload for the relay, with the whole
--              message, see log_encoding.go
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

-- The newest entry is read without asking for end_key first, which is a call less. Entries
-- of more than 4096 bytes have an end_key, see publish.lua.
local newest_entry = redis.call('XREVRANGE', index.key, highest, '-', 'COUNT', 1)[1]
if newest_entry then
	index.prev, index.hint = newest_entry[1], #(newest_entry[2][2] or '') > 4096
else
	index.prev, index.hint = newest(index.key, index.end_key)
	if index.prev == '0-0' and index.hint then
		index.prev = index.hint
	end
end

-- later returns the later one of two IDs.
local function later(a, b)
	if string.byte(a, 14) == 45 and string.byte(b, 14) == 45 then -- as every ID until 2286
		local ms_a, ms_b = string.sub(a, 1, 13), string.sub(b, 1, 13)
		if ms_a ~= ms_b then
			return ms_a < ms_b and b or a
		end
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
	index.renewed = string.match(index.prev, '^%d+') -- when the expiry was renewed last, or later
	if index.prev ~= '0-0' then
		index.prev = last
	end
	return last
end

-- expire renews the expiry of the index log with the newest message id of some size in
-- bytes, as publish.lua does with that of the channel. It saves the call while the newest
-- message before was of the same sixteenth of the TTL: so the log may be kept for an
-- eighth longer.
function index.expire(id, size, now, moving)
	local ttl, end_ttl = index.ttl, index.end_ttl
	if moving then
		ttl, end_ttl = end_ttl, '0'
	end
	local part = math.max(1, math.floor(ttl / 16))
	local kept = end_ttl == ttl and size <= 4096 and not index.hint
	if kept and tonumber(index.renewed) <= now and math.floor(index.renewed / part) == math.floor(now / part) then
		return 1
	end
	return expire(index.key, index.end_key, index.hint, id, size, string.format('%.0f', ttl + 2 * part), end_ttl == ttl and string.format('%.0f', ttl + 2 * part) or end_ttl)
end
