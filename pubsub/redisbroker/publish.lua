-- Publishes messages of one channel, in order: appends each to the channel's log
-- and relays it. If the call is refused, nothing was published.
-- KEYS[1]  the log, a stream
-- KEYS[…]  two for each message with an idempotency key: its name, and its name
--          in earlier versions. Strings: '<id> <sum>', and in earlier versions '<id>'
-- ARGV[1]  PUBLISH, or SPUBLISH on Redis Cluster
-- ARGV[2]  how many messages to keep at least
-- ARGV[3]  how long to keep the log after its newest message, in ms
-- ARGV[4]  how long to remember idempotency keys, in ms
-- ARGV[5]  data of more bytes is not relayed, only announced
-- ARGV[6]  the relay's pub/sub channel, in the log's slot. It is no key: were it
--          named as one, Redis Cluster would miss it wherever the slot is being
--          moved, and refuse (TRYAGAIN) until the move is over
-- ARGV[…]  four for each message:
--          type; '' if the message is ephemeral
--          data; of an ephemeral message all that is relayed
--          trace; '' if it has none
--          sum of what it says; '' if it has no idempotency key
-- Returns three for each message, id, outcome and an error:
--          id  0  ''       published
--          id  1  ''       its key was seen before: the first message's ID
--          id  2  ''       its key was seen before, with another sum
--          ''  3  error    refused, and not published
--          id  4  error    in the log, but the relay was refused
--          id  5  error    as 1, but the key's time was not renewed
-- and after all of them, only if that was refused, the error of the log's expiry.
local gen, now = generation(), redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local prev, hinted = newest()

-- seen returns the first message's ID and the outcome for a message whose key was
-- seen before; '' and 0 for others.
local function seen(name, sum)
	local value = redis.pcall('GET', name)
	if type(value) == 'table' then
		return '', 3, value.err
	end
	if not value or value == '' then
		return '', 0, ''
	end
	local id, first = string.match(value, '^(%S+) ?(%S*)')
	if first ~= '' and first ~= sum then
		return id, 2, ''
	end
	-- A write, so that WAIT on this connection is about the first publish too.
	local renewed = redis.pcall('PEXPIRE', name, ARGV[4])
	if type(renewed) == 'table' then
		return id, 5, renewed.err
	end
	return id, 1, ''
end

local answer, next_key = {}, 2
local last -- the bytes of the newest message that was appended
for i = 7, #ARGV, 4 do
	local kind, data, trace, sum = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
	local id, outcome, why, name = '', 0, '', nil
	local payload = data
	if sum ~= '' then
		name = KEYS[next_key]
		id, outcome, why = seen(name, sum)
		if outcome == 0 then
			id, outcome, why = seen(KEYS[next_key + 1], sum)
		end
		next_key = next_key + 2
	end
	if kind ~= '' and outcome == 0 then
		-- The ID is pubsub.NextID: <ms>-<counter * 2^20 + generation>.
		local ms, seq = now, gen
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
		id = string.format('%.0f-%.0f', ms, seq)
		local added
		if name then
			-- The key comes first: were it refused later, a repeat would be published.
			added = redis.pcall('SET', name, id .. ' ' .. sum, 'PX', ARGV[4])
		end
		if not (added and added.err) then
			if trace == '' then
				added = redis.pcall('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], id, 'prev', prev, 'type', kind, 'data', data)
			else
				added = redis.pcall('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], id, 'prev', prev, 'type', kind, 'data', data, 'trace', trace)
				trace = '~ ' .. trace .. ' '
			end
			if type(added) == 'table' and name then
				redis.pcall('SET', name, '', 'PX', 1) -- which was allowed a moment ago
			end
		end
		if type(added) == 'table' then
			id, outcome, why = '', 3, added.err
		elseif #data > tonumber(ARGV[5]) then
			payload = trace .. '! ' .. id .. ' ' .. prev
			prev, last = id, #data
		else
			payload = trace .. id .. ' ' .. prev .. ' ' .. kind .. '\n' .. data
			prev, last = id, #data
		end
	end
	if outcome == 0 then
		local heard = redis.pcall(ARGV[1], ARGV[6], payload)
		if type(heard) == 'table' then
			outcome, why = kind == '' and 3 or 4, heard.err
		end
	end
	local n = #answer
	answer[n + 1], answer[n + 2], answer[n + 3] = id, outcome, why
end
if last then
	local expiry = redis.pcall('PEXPIRE', KEYS[1], ARGV[3])
	if type(expiry) == 'table' then
		answer[#answer + 1] = expiry.err
	end
	if last > 4096 then
		redis.pcall('SET', end_key, prev, 'PX', ARGV[3])
	elseif hinted then
		redis.pcall('DEL', end_key)
	end
end
return answer
