-- end_key is the ID of the log's newest message if that is a large one, or if the
-- log is kept for a short time: a string that expires with the log, or later, see
-- pubsub.EndTTL. It is a hint: other programs, nodes of
-- earlier versions, eviction, or a slot on its way may make it wrong or missing.
-- It is not one of KEYS, see the relay's pub/sub channel in publish.lua.
local end_key = string.sub(KEYS[1], 1, -4) .. 'end'

-- highest is after every ID that there can be (pubsub.MaxMS). Entries after it are
-- not Comet's and are not read; publish.lua removes them, as no ID follows theirs.
local highest = '4398046511103-0'

-- newest returns the ID of the newest message of the log KEYS[1], '0-0' if it
-- has none, and what end_key says, or false: with an empty log, the newest message
-- of the log before. It goes without the message where it
-- can: to bring one into a script costs some 1.5 ms a MB.
local function newest()
	local id = redis.pcall('GET', end_key)
	local hint = type(id) == 'string' and id
	if hint and string.find(hint, '^%d+%-%d+$') and redis.call('XLEN', KEYS[1]) > 0 then
		local later = redis.pcall('XRANGE', KEYS[1], '(' .. id, highest, 'COUNT', 1)
		if not later.err and #later == 0 then
			return id, hint
		end
	end
	local last = redis.call('XREVRANGE', KEYS[1], highest, '-', 'COUNT', 1)[1]
	if last then
		return last[1], hint
	end
	-- Nothing confirms it. An ID more than a minute ahead of the clock is not Comet's.
	local ms = hint and tonumber(string.match(hint, '^(%d+)%-%d+$'))
	return '0-0', ms and ms <= redis.call('TIME')[1] * 1000 + 60000 and hint
end
