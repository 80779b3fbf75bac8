-- Publishes messages of one channel, in order: appends each to the channel's log
-- and relays it. If the call is refused, nothing was published.
-- KEYS[1]  the log, a stream
-- KEYS[…]  one for each message with an idempotency key, a string '<id> <sum>'
-- ARGV[1]  PUBLISH, or SPUBLISH on Redis Cluster
-- ARGV[2]  minimum number of messages to keep
-- ARGV[3]  TTL of the log after its newest message, in ms
-- ARGV[4]  TTL of the newest message's ID, in ms, see newest.lua; 0 while the slot moves
--          here: the key may still arrive, and the move stops at a key that exists
-- ARGV[5]  TTL of idempotency keys, in ms
-- ARGV[6]  data of more bytes is not relayed, only announced
-- ARGV[7]  the relay's pub/sub channel, in the log's slot. It is not one of KEYS: Redis
--          Cluster would look for a key of this name, and refuse the call (TRYAGAIN)
--          while the slot moves
-- ARGV[…]  four for each message:
--          type; '' if the message is ephemeral
--          data; of an ephemeral message the whole payload for the relay
--          trace, or meta (see log_meta.go), or meta LF trace; '' without both; of an
--          ephemeral message a second payload, which is relayed before the first, or ''
--          checksum of the message; '' without an idempotency key
-- Returns only the id if the call published one message and nothing was refused: a
-- table would cost 2 % of a publish. Else two words for each message:
--          id        0  published; an ephemeral message has the id ''
--          id        1  duplicate of the message with this ID, by its key
--          id        2  the key was used for the message with this ID, which differs
--          error     3  refused, and not published
--          id error  4  in the log, but the relay was refused
--          id error  5  as 1, but the key's TTL was not renewed
-- If the log's expiry was refused, its error follows as the last word.
-- After index.lua it also appends each message to an index log, and relays it there.
local epoch, now = current_epoch(), redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local prev, hint = newest(KEYS[1], end_key)
if prev == '0-0' and hint then
	prev = hint
end
local last_id = index and index.follow(prev) or prev -- the next ID is later than this one
local last_ms = tonumber(string.match(last_id, '^%d+')) -- 0 of '0-0', which the clock is always after

-- append appends an entry with some fields to a log whose newest message is prev. It
-- returns a table with the error if that is refused.
local function append(key, size, prev, id, ...)
	local added = redis.pcall('XADD', key, 'MAXLEN', '~', size, id, ...)
	if type(added) == 'table' and string.find(added.err, 'ID', 1, true) then
		-- Another program has appended an entry after every ID of Comet's, or has deleted
		-- the newest entry; Redis remembers its ID.
		for _, entry in ipairs(redis.pcall('XRANGE', key, highest, '+', 'COUNT', 100)) do
			redis.pcall('XDEL', key, entry[1])
		end
		redis.pcall('XSETID', key, prev)
		added = redis.pcall('XADD', key, 'MAXLEN', '~', size, id, ...)
	end
	return added
end

-- append_message appends a message to the channel's log.
local function append_message(prev, id, kind, data, trace, meta)
	if trace == '' and not meta then
		return append(KEYS[1], ARGV[2], prev, id, 'prev', prev, 'type', kind, 'data', data)
	elseif trace == '' then
		return append(KEYS[1], ARGV[2], prev, id, 'prev', prev, 'type', kind, 'data', data, 'meta', meta)
	elseif not meta then
		return append(KEYS[1], ARGV[2], prev, id, 'prev', prev, 'type', kind, 'data', data, 'trace', trace)
	end
	return append(KEYS[1], ARGV[2], prev, id, 'prev', prev, 'type', kind, 'data', data, 'meta', meta, 'trace', trace)
end

-- whole returns the payload of a message for the relay, with its data.
local function whole(id, ms, seq, prev, kind, data, trace, meta)
	if meta then
		-- Nodes of version 1 take this for a message that does not follow the newest one
		-- that they have. So they read the log, and drop what it says here.
		return '~ v2:' .. #meta .. ' ' .. id .. string.format(' %.0f-%d ', ms, seq - 1) .. kind ..
			'\n["' .. prev .. '","' .. trace .. '",' .. meta .. ',' .. data .. ']'
	elseif trace ~= '' then
		return '~ ' .. trace .. ' ' .. id .. ' ' .. prev .. ' ' .. kind .. '\n' .. data
	end
	return id .. ' ' .. prev .. ' ' .. kind .. '\n' .. data
end

-- announced returns the payload for a message that is too large to be relayed.
local function announced(id, prev, trace)
	return (trace ~= '' and '~ ' .. trace .. ' ' or '') .. '! ' .. id .. ' ' .. prev
end

-- seen returns the first message's ID and the outcome for a message whose key was used
-- before, else '' and 0.
local seen = KEYS[2] and function(name, sum)
	local value = redis.pcall('GET', name)
	if type(value) == 'table' then
		return value.err, 3
	end
	if not value or value == '' then
		return '', 0
	end
	local id, first = string.match(value, '^(%S+) ?(%S*)')
	if first ~= sum then
		return id, 2
	end
	-- This is a write, so that WAIT on this connection covers the first publish too.
	local renewed = redis.pcall('PEXPIRE', name, ARGV[5])
	if type(renewed) == 'table' then
		return id .. ' ' .. renewed.err, 5
	end
	return id, 1
end

local answer, n, next_key = {'', 0}, 0, 2
local last -- size in bytes of the newest message that was appended
for i = 8, #ARGV - (index and index.words or 0), 4 do
	local kind, data, trace, sum = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
	local id, outcome, name = '', 0, nil
	local payload, indexed, meta = data, nil, nil
	if sum ~= '' then
		name = KEYS[next_key]
		id, outcome = seen(name, sum)
		next_key = next_key + 1
	end
	if kind ~= '' and outcome == 0 then
		-- The ID is pubsub.NextID: <ms>-<counter * 2^20 + epoch>.
		local ms, seq = now, epoch
		if ms <= last_ms then
			local counter = math.floor(string.match(last_id, '%-(%d+)') / 1048576) + 1
			if counter > 1023 then
				ms = last_ms + 1
			else
				ms, seq = last_ms, counter * 1048576 + seq
			end
		end
		id = string.format('%.0f-%d', ms, seq)
		if trace ~= '' and string.sub(trace, 1, 1) == '{' then
			meta, trace = string.match(trace, '^([^\n]+)\n?(.*)$')
		end
		local added
		if name then
			-- The key is set first: if it were refused after XADD, a repeat would be published.
			added = redis.pcall('SET', name, id .. ' ' .. sum, 'PX', ARGV[5])
		end
		if not (added and added.err) then
			if index then
				indexed = index.channel .. '\n' .. whole(id, ms, seq, index.prev, kind, data, trace, meta)
				added = append(index.key, index.size, index.prev, id, 'relay', indexed)
			end
			if not (index and type(added) == 'table') then
				added = append_message(prev, id, kind, data, trace, meta)
				if index and type(added) == 'table' then
					redis.pcall('XDEL', index.key, id)
				end
			end
			if type(added) == 'table' and name then
				redis.pcall('SET', name, '', 'PX', 1) -- undo; SET was allowed just before
			end
		end
		if type(added) == 'table' then
			id, outcome = added.err, 3
		else
			if #data <= tonumber(ARGV[6]) then
				payload = whole(id, ms, seq, prev, kind, data, trace, meta)
			else
				payload = announced(id, prev, trace)
				indexed = index and index.channel .. '\n' .. announced(id, index.prev, trace)
			end
			prev, last_id, last_ms, last = id, id, ms, #data
			if index then
				index.prev = id
			end
		end
	end
	if outcome == 0 then
		if kind == '' and trace ~= '' then
			redis.pcall(ARGV[1], ARGV[7], trace)
		end
		local heard = redis.pcall(ARGV[1], ARGV[7], payload)
		if index and type(heard) ~= 'table' then
			heard = redis.pcall(ARGV[1], index.live, indexed or index.channel .. '\n' .. data)
		end
		if type(heard) == 'table' then
			if kind == '' then
				id, outcome = heard.err, 3
			else
				id, outcome = id .. ' ' .. heard.err, 4
			end
		end
	end
	answer[n + 1], answer[n + 2] = id, outcome
	n = n + 2
end
if last then
	local expiry = expire(KEYS[1], end_key, hint, prev, last, ARGV[3], ARGV[4])
	if index and type(expiry) ~= 'table' then
		expiry = index.expire(prev, last, now, ARGV[4] == '0')
	end
	if type(expiry) == 'table' then
		answer[n + 1] = expiry.err
	end
end
if #answer == 2 and answer[2] == 0 then
	return answer[1]
end
return answer
