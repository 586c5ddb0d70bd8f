-- pool_stats: how many jobs wait in the lines of each pool and lane, and for what.
-- include: clock record lines
-- KEYS
--   namespace   prefix of the keys of lines and pools
-- ARGV
--   limit       maximum number of pools of a lane
-- returns  a list of {pool, lane, waiting jobs, reason, ms until which it is closed or -1}; 'slot' for an open pool
-- Safe to send again: it only reads.
local found, now = {}, now_ms()
for _, lane in ipairs(LANES) do
  local pools = redis.call('ZRANGE', pools_key(lane), 0, limit - 1, 'WITHSCORES')
  for i = 1, #pools, 2 do
    local pool, opens_at_ms = pools[i], tonumber(pools[i + 1])
    local waiting = tonumber(redis.call('HGET', lines().queued_key(lane), pool) or 0)
    local reason = opens_at_ms > now and redis.call('HGET', namespace .. 'closed', pool)
    found[#found + 1] = {pool, lane, waiting, reason or 'slot', reason and opens_at_ms < math.huge and opens_at_ms or -1}
  end
end
return found
