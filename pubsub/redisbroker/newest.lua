-- end_key is a string, the ID of the log's newest message if that is large or if the log's
-- TTL is short. It expires with the log, or later, see pubsub.EndTTL. It is a hint: other
-- programs, nodes of earlier versions, eviction, or a moving slot may make it wrong or
-- missing. It is not one of KEYS, for the same reason as the relay's pub/sub channel in
-- publish.lua.
local end_key = string.sub(KEYS[1], 1, -4) .. 'end'

-- highest is after every ID of Comet's (pubsub.MaxMS). Entries after it are not read, and
-- publish.lua removes them, because no ID can follow theirs.
local highest = '4398046511103-0'

-- index is what publish.lua needs to append to an index log too, see index.lua.
local index = nil

-- newest returns the ID of the newest message of the log key, or '0-0' if it is empty,
-- and the value of its end_key, or false. With an empty log the latter is the newest message
-- of the log that was there before. It avoids reading the message, because that costs
-- about 1.5 ms per MB in a script.
local function newest(key, end_key)
	local id = redis.pcall('GET', end_key)
	local hint = type(id) == 'string' and id
	if hint and string.find(hint, '^%d+%-%d+$') and redis.call('XLEN', key) > 0 then
		local later = redis.pcall('XRANGE', key, '(' .. id, highest, 'COUNT', 1)
		if not later.err and #later == 0 then
			return id, hint
		end
	end
	local last = redis.call('XREVRANGE', key, highest, '-', 'COUNT', 1)[1]
	if last then
		return last[1], hint
	end
	-- No entry proves the hint here. An ID more than a minute ahead of the clock is not
	-- Comet's.
	local ms = hint and tonumber(string.match(hint, '^(%d+)%-%d+$'))
	return '0-0', ms and ms <= redis.call('TIME')[1] * 1000 + 60000 and hint
end

-- expire renews the expiry of a log with the newest message id of some size in bytes. It
-- returns a table with the error if that is refused.
local function expire(key, end_key, hint, id, size, ttl, end_ttl)
	if end_ttl ~= '0' and (size > 4096 or end_ttl ~= ttl) then
		if redis.pcall('SET', end_key, id, 'PX', end_ttl).err then
			ttl = end_ttl -- keep the log itself for that time
		end
	elseif end_ttl ~= '0' and hint then
		redis.pcall('DEL', end_key)
	end
	return redis.pcall('PEXPIRE', key, ttl)
end
