-- Returns and updates the epoch history of this primary, see epochHistory. A run is named
-- '<run_id> <master_replid2>'.
-- KEYS[1]  the history, a hash with three kinds of fields:
--            <epoch>        the run that it belongs to
--            since <run>    the start of the run, in Unix ms
--            whole <epoch>  the run that took over from this epoch without loss
--          A replica that takes over has the hash of its primary, and so the runs before
--          its own. Left out if no key is in a slot of the primary
-- ARGV[1]  time in ms after which the hash expires; each call renews it
-- ARGV[2]  maximum number of fields; a hash with more is deleted
-- ARGV[…]  three words for each primary that the node probed, see epoch_takeover.go:
--          master_replid; replication offset; age of the probe in ms
-- Returns {epoch, run_id, master_replid2, the epochs of this run, {run, start in Unix
-- ms, …}, the epochs from which this run took over without loss}.
-- The run of a process that took over starts when a node first sees it; that of another
-- process starts with the process.
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

-- took is the epoch from which this process took over, if it was then a replica that had
-- everything acknowledged. uptime is up to a second too long.
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
			redis.pcall('HDEL', KEYS[1], field) -- a run of this process that is over
		end
	end
	if #seen > 2 * ARGV[2] then
		redis.pcall('DEL', KEYS[1])
	end
	-- Without free memory this fails; then readers may get one failover gap more.
	redis.pcall('HSET', KEYS[1], epoch, run, 'since ' .. run, string.format('%.0f', since))
	for _, other in ipairs(whole) do
		redis.pcall('HSET', KEYS[1], 'whole ' .. other, run)
	end
	redis.pcall('PEXPIRE', KEYS[1], ARGV[1])
end
began[#began + 1] = run
began[#began + 1] = since
return {epoch, process, before, same, began, whole}
