-- Which generations belong to this primary's life, and when lives began, see lives.
-- KEYS[1]  what nodes have seen, which expires when none has asked for ARGV[1]
--          ms; left out where there is no slot for it. A hash of generation to
--          life, and of "since " and life to a time. A replica that takes over
--          has it too, so that it tells of the lives before
-- ARGV[2]  how many fields it may have; with more, all is forgotten
-- Returns {generation now, run_id, master_replid2, all of the same life, {life, when
-- it began in ms since the epoch, ...}}. A process that took over from another
-- lives since it was first seen; one that did not, since it was started.
local info = redis.call('INFO', 'server', 'replication')
local gen = generation()
local process = string.match(info, 'run_id:(%w+)') or '-' -- some providers hide it
local before = string.match(info, 'master_replid2:(%w+)') or '-'
local life = process .. ' ' .. before
local clock = redis.call('TIME')
local since = clock[1] * 1000 + math.floor(clock[2] / 1000)
if string.match(before, '^0+$') then
	since = since - 1000 * (string.match(info, 'uptime_in_seconds:(%d+)') or 0)
end
local same, began = {gen}, {}
if KEYS[1] then
	local seen = redis.call('HGETALL', KEYS[1])
	for i = 1, #seen, 2 do
		local field, value = seen[i], seen[i + 1]
		local other = string.match(field, '^since (.*)')
		if other == life then
			since = math.min(since, tonumber(value))
		elseif other then
			began[#began + 1] = other
			began[#began + 1] = tonumber(value)
		elseif value == life then
			same[#same + 1] = tonumber(field)
		elseif string.sub(value, 1, #process) == process then
			redis.pcall('HDEL', KEYS[1], field) -- it does not come back
		end
	end
	if #seen > 2 * ARGV[2] then
		redis.pcall('DEL', KEYS[1])
	end
	-- Without memory left this fails, and a failover more may be told.
	redis.pcall('HSET', KEYS[1], gen, life, 'since ' .. life, string.format('%.0f', since))
	redis.pcall('PEXPIRE', KEYS[1], ARGV[1])
end
began[#began + 1] = life
began[#began + 1] = since
return {gen, process, before, same, began}
