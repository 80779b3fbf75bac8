-- Which generations belong to this primary's life, and when lives began, see lives.
-- KEYS[1]  what nodes have seen, which expires when none has asked for ARGV[1]
--          ms; left out where there is no slot for it. A hash of generation to
--          life, of "since " and life to a time, and of "whole " and generation
--          to the life that took over whole. A replica that takes over has it too,
--          so that it tells of the lives before
-- ARGV[2]  how many fields it may have; with more, all is forgotten
-- ARGV[3]  and so on, three words each: what the node saw of a primary, see
--          epoch_takeover.go: its master_replid, its offset, how long ago in ms
-- Returns {generation now, run_id, master_replid2, all of the same life, {life, when
-- it began in ms since the epoch, ...}, all of lives that this one took over whole}.
-- A process that took over from another lives since it was first seen; one that
-- did not, since it was started.
local info = redis.call('INFO', 'server', 'replication')
local epoch = current_epoch()
local process = string.match(info, 'run_id:(%w+)') or '-' -- some providers hide it
local before = string.match(info, 'master_replid2:(%w+)') or '-'
local run = process .. ' ' .. before
local uptime = 1000 * (string.match(info, 'uptime_in_seconds:(%d+)') or 0)
local clock = redis.call('TIME')
local since = clock[1] * 1000 + math.floor(clock[2] / 1000)
if string.match(before, '^0+$') then
	since = since - uptime
end

-- Whether a replica that had everything acknowledged took over, and from which
-- generation. uptime is up to a second too long.
local followed = tonumber(string.match(info, 'second_repl_offset:(%-?%d+)'))
local took = nil
for i = 3, #ARGV, 3 do
	if ARGV[i] == before and followed > tonumber(ARGV[i + 1]) and uptime - 2000 > tonumber(ARGV[i + 2]) then
		took = math.max(1, tonumber(string.sub(before, 1, 5), 16))
	end
end

local same, began, whole = {epoch}, {}, {took}
if KEYS[1] then
	local seen, former = redis.call('HGETALL', KEYS[1]), nil
	for i = 1, #seen, 2 do
		if took and seen[i] == tostring(took) then
			former = seen[i + 1]
		end
	end
	for i = 1, #seen, 2 do
		local field, value = seen[i], seen[i + 1]
		local other, taken = string.match(field, '^since (.*)'), string.match(field, '^whole (.*)')
		if taken then
			if value == run or value == former then
				whole[#whole + 1] = tonumber(taken)
			end
		elseif other == run then
			since = math.min(since, tonumber(value))
		elseif other then
			began[#began + 1] = other
			began[#began + 1] = tonumber(value)
		elseif value == run then
			same[#same + 1] = tonumber(field)
		elseif value == former then
			whole[#whole + 1] = tonumber(field)
		elseif string.sub(value, 1, #process) == process then
			redis.pcall('HDEL', KEYS[1], field) -- it does not come back
		end
	end
	if #seen > 2 * ARGV[2] then
		redis.pcall('DEL', KEYS[1])
	end
	-- Without memory left this fails, and a failover more may be told.
	redis.pcall('HSET', KEYS[1], epoch, run, 'since ' .. run, string.format('%.0f', since))
	for _, other in ipairs(whole) do
		redis.pcall('HSET', KEYS[1], 'whole ' .. other, run)
	end
	redis.pcall('PEXPIRE', KEYS[1], ARGV[1])
end
began[#began + 1] = run
began[#began + 1] = since
return {epoch, process, before, same, began, whole}
