-- dispatch: publishes jobs whose target has opened with time.
-- include: clock record fair_clock rate_ring lines governor publish dispatch
-- returns  ms until this may have an effect again: 0 when more jobs can be published now; -1 when no pool is closed
--          until a known time
-- Safe to send again.
dispatch()
local now, least = now_ms(), math.huge
local current = read_window(now)
local has_room = current.message and current.room > 0
for _, lane in ipairs(LANES) do
  if redis.call('ZCOUNT', pools_key(lane), '-inf', now) > 0 and has_room then
    return 0
  end
  local _, opens_at_ms = unpack(redis.call('ZRANGEBYSCORE', pools_key(lane), '(' .. now, '(inf', 'WITHSCORES', 'LIMIT', 0, 1))
  least = math.min(least, tonumber(opens_at_ms or nil) or math.huge)
end
return least < math.huge and least - now or -1
