-- Publishes messages of one channel, in order: appends each to the channel's log
-- and relays it. If the call is refused, nothing was published.
-- KEYS[1]  the log, a stream
-- KEYS[…]  one for each message with an idempotency key, a string '<id> <sum>'
-- ARGV[1]  PUBLISH, or SPUBLISH on Redis Cluster
-- ARGV[2]  how many messages to keep at least
-- ARGV[3]  how long to keep the log after its newest message, in ms
-- ARGV[4]  how long to keep the newest message's ID, in ms, see newest.lua; 0 while
--          the slot is being moved here: the key may still come from there, and
--          the move would stop at one that exists here
-- ARGV[5]  how long to remember idempotency keys, in ms
-- ARGV[6]  data of more bytes is not relayed, only announced
-- ARGV[7]  the relay's pub/sub channel, in the log's slot. It is no key: were it
--          named as one, Redis Cluster would miss it wherever the slot is being
--          moved, and refuse (TRYAGAIN) until the move is over
-- ARGV[…]  four for each message:
--          type; '' if the message is ephemeral
--          data; of an ephemeral message all that is relayed
--          trace; '' if it has none
--          sum of what it says; '' if it has no idempotency key
-- Returns the id alone if the call published one message and nothing was refused: a
-- table would cost 2 % of a publish. Else two words for each message:
--          id        0  published; an ephemeral message has the id ''
--          id        1  its key was seen before: the first message's ID
--          id        2  its key was seen before, with another sum
--          error     3  refused, and not published
--          id error  4  in the log, but the relay was refused
--          id error  5  as 1, but the key's time was not renewed
-- and after all of them, only if that was refused, the error of the log's expiry.
local epoch, now = current_epoch(), redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local prev, hint = newest()
if prev == '0-0' and hint then
	prev = hint
end
local prev_ms = tonumber(string.match(prev, '^%d+')) -- 0 of '0-0': the clock is after it

-- seen returns the first message's ID and the outcome for a message whose key was
-- seen before; '' and 0 for others.
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
	-- A write, so that WAIT on this connection is about the first publish too.
	local renewed = redis.pcall('PEXPIRE', name, ARGV[5])
	if type(renewed) == 'table' then
		return id .. ' ' .. renewed.err, 5
	end
	return id, 1
end

local answer, n, next_key = {'', 0}, 0, 2
local last -- the bytes of the newest message that was appended
for i = 8, #ARGV, 4 do
	local kind, data, trace, sum = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
	local id, outcome, name = '', 0, nil
	local payload = data
	if sum ~= '' then
		name = KEYS[next_key]
		id, outcome = seen(name, sum)
		next_key = next_key + 1
	end
	if kind ~= '' and outcome == 0 then
		-- The ID is pubsub.NextID: <ms>-<counter * 2^20 + generation>.
		local ms, seq = now, epoch
		if ms <= prev_ms then
			local counter = math.floor(string.match(prev, '%-(%d+)') / 1048576) + 1
			if counter > 1023 then
				ms = prev_ms + 1
			else
				ms, seq = prev_ms, counter * 1048576 + seq
			end
		end
		id = string.format('%.0f-%d', ms, seq)
		local added
		if name then
			-- The key comes first: were it refused later, a repeat would be published.
			added = redis.pcall('SET', name, id .. ' ' .. sum, 'PX', ARGV[5])
		end
		if not (added and added.err) then
			local retried = false
			repeat
				local retry = false
				if trace == '' then
					added = redis.pcall('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], id, 'prev', prev, 'type', kind, 'data', data)
				else
					added = redis.pcall('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], id, 'prev', prev, 'type', kind, 'data', data, 'trace', trace)
				end
				if type(added) == 'table' and not retried and string.find(added.err, 'ID', 1, true) then
					-- Another program has appended what is after every ID there can be, or
					-- has deleted the newest entry, whose ID Redis remembers.
					for _, entry in ipairs(redis.pcall('XRANGE', KEYS[1], highest, '+', 'COUNT', 100)) do
						redis.pcall('XDEL', KEYS[1], entry[1])
					end
					redis.pcall('XSETID', KEYS[1], prev)
					retry, retried = true, true
				end
			until not retry
			if type(added) == 'table' and name then
				redis.pcall('SET', name, '', 'PX', 1) -- which was allowed a moment ago
			end
		end
		if type(added) == 'table' then
			id, outcome = added.err, 3
		elseif #data > tonumber(ARGV[6]) then
			payload = '! ' .. id .. ' ' .. prev
			prev, prev_ms, last = id, ms, #data
		else
			payload = id .. ' ' .. prev .. ' ' .. kind .. '\n' .. data
			prev, prev_ms, last = id, ms, #data
		end
	end
	if outcome == 0 then
		if trace ~= '' then
			payload = '~ ' .. trace .. ' ' .. payload
		end
		local heard = redis.pcall(ARGV[1], ARGV[7], payload)
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
	local ttl = ARGV[3]
	if ARGV[4] ~= '0' and (last > 4096 or ARGV[4] ~= ttl) then
		if redis.pcall('SET', end_key, prev, 'PX', ARGV[4]).err then
			ttl = ARGV[4] -- then the log itself is known for as long
		end
	elseif ARGV[4] ~= '0' and hint then
		redis.pcall('DEL', end_key)
	end
	local expiry = redis.pcall('PEXPIRE', KEYS[1], ttl)
	if type(expiry) == 'table' then
		answer[n + 1] = expiry.err
	end
end
if #answer == 2 and answer[2] == 0 then
	return answer[1]
end
return answer
