-- The generation of this primary: the first 20 bits of its replication ID,
-- never 0. Asked for in the script itself, so that it is the generation that
-- takes the message even if the primary was demoted and promoted again while
-- the connection stayed open. A replica has none, and must not be read either:
-- while it gets its data it looks like a log that is gone.
local function current_epoch()
	local info = redis.call('INFO', 'replication')
	-- A search for plain text costs a tenth of what a pattern costs, which Lua tries at
	-- every byte.
	local at = string.find(info, 'role:', 1, true)
	if string.sub(info, at + 5, at + 9) == 'slave' then
		error({err = 'READONLY it is a replica'})
	end
	at = string.find(info, 'master_replid:', 1, true)
	local epoch = tonumber(string.sub(info, at + 14, at + 18), 16)
	if epoch == 0 then
		return 1
	end
	return epoch
end
