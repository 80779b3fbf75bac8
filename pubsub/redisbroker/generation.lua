-- The generation of this primary: the first 20 bits of its replication ID,
-- never 0. Asked for in the script itself, so that it is the generation that
-- takes the message even if the primary was demoted and promoted again while
-- the connection stayed open. A replica has none, and must not be read either:
-- while it gets its data it looks like a log that is gone.
local function generation()
	local info = redis.call('INFO', 'replication')
	if string.match(info, 'role:(%a+)') == 'slave' then
		error({err = 'READONLY it is a replica'})
	end
	local gen = tonumber(string.match(info, 'master_replid:(%x%x%x%x%x)'), 16)
	if gen == 0 then
		return 1
	end
	return gen
end
