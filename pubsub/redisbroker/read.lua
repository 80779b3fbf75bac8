-- Reads a page of a channel's log, atomically.
-- KEYS[1]  the log, a stream
-- ARGV[1]  'forward' or 'backward'
-- ARGV[2]  exclusive cursor; '0-0' is before the first and, backward, after the last message
-- ARGV[3]  maximum number of messages
-- ARGV[4]  maximum number of bytes of data; the first message may have more
-- ARGV[5]  a key that only the loss of all data removes, as by FLUSHALL: a string, the time
--          since which it exists, '<ms>-<epoch>'. It is not in the log's slot, and may be
--          left out
-- Returns {epoch, ID of the newest message or '0-0', stream entries, 1 if there may be
-- more, the time in ms if the log is empty else 0, the value of ARGV[5] or '0-0', the
-- newest message of the log before if this one is empty, or '0-0'}.
-- Returns only the epoch if the cursor is at the newest message, as in nearly all
-- channels when all are read after a relay connection was lost.

-- since returns the value of ARGV[5]. If the key does not exist, it is set to ms and
-- epoch: no data was removed after that time.
local function since(ms, epoch)
	local known = ARGV[5] and redis.pcall('GET', ARGV[5])
	if type(known) == 'string' then
		return known
	end
	if known == false then
		local now = string.format('%.0f-%.0f', ms, epoch)
		local set = redis.pcall('SET', ARGV[5], now)
		return set.ok and now or '0-0' -- fails without free memory, or replicas
	end
	return '0-0'
end

local finish, hint = newest(KEYS[1], end_key)

local function empty()
	local now = redis.call('TIME')
	local ms = now[1] * 1000 + math.floor(now[2] / 1000)
	return {current_epoch(), '0-0', {}, 0, ms, since(ms, current_epoch()), hint or '0-0'}
end

if finish == '0-0' then
	return empty()
end
if ARGV[1] == 'forward' and ARGV[2] == finish then
	return current_epoch()
end

-- The entries are read a few at a time, because only reading one shows its size. Steps of
-- four take no more time than one step of all (measured: 64 entries of 50 B, 1 KB,
-- 10 KB).
local entries, more = {}, 0
local limit, budget = tonumber(ARGV[3]), tonumber(ARGV[4])
local command, from, to = 'XRANGE', '(' .. ARGV[2], highest
if ARGV[1] == 'backward' then
	command, from, to = 'XREVRANGE', ARGV[2] == '0-0' and highest or '(' .. ARGV[2], '-'
end
local step, largest = 1, 1
while limit > 0 and more == 0 do
	local count = math.min(step, limit - #entries)
	local read = redis.call(command, KEYS[1], from, to, 'COUNT', count)
	for _, entry in ipairs(read) do
		local size = 0
		for i = 2, #entry[2], 2 do
			size = size + #entry[2][i]
		end
		if size > budget and #entries > 0 then
			more = 1
			break
		end
		budget, largest = budget - size, math.max(largest, size)
		entries[#entries + 1] = entry
	end
	if more == 0 and #read < count then
		if #entries == 0 and command == 'XRANGE' then
			-- The log ends at the cursor or before it; end_key may be wrong.
			local last = redis.call('XREVRANGE', KEYS[1], highest, '-', 'COUNT', 1)[1]
			if not last then
				return empty()
			end
			finish = last[1]
		end
		break
	end
	if budget <= 0 or #entries == limit then
		more = 1
	end
	from = '(' .. entries[#entries][1]
	step = math.max(1, math.min(4, math.floor(budget / largest)))
end
if command == 'XRANGE' and ARGV[2] == '0-0' and entries[1] then
	local ms, seq = string.match(entries[1][1], '(%d+)-(%d+)')
	return {current_epoch(), finish, entries, more, 0, since(tonumber(ms), tonumber(seq) % 1048576), '0-0'}
end
return {current_epoch(), finish, entries, more, 0, '0-0', '0-0'}
