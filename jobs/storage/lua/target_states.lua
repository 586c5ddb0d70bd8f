-- target_states: the limits and the calls of every target that is configured or has been called lately.
-- include: clock record rate_ring lines governor
-- KEYS
--   namespace   prefix of the keys of targets and pools
-- returns  JSON: a list of objects, see TargetState in jobs/provider_states.py
-- Safe to send again.
local now, found, governor = now_ms(), {}, targets()
local second = math.floor(now / 1000)
for _, name in ipairs(redis.call('SUNION', namespace .. 'targets', namespace .. 'configured')) do
  if redis.call('EXISTS', target_key(name)) == 1 then
    local target = governor.read(name)
    local requests_source, tokens_source = unpack(redis.call('HMGET', target_key(name), 'requests_source', 'tokens_source'))
    local is_closed = target.closed_until_ms > now
    found[#found + 1] = {
      name = name,
      is_open = not is_closed,
      closed_reason = is_closed and target.closed_reason or nil,
      closed_until_ms = is_closed and target.closed_until_ms or nil,
      running = target.running,
      requests_last_minute = ring_sum(namespace .. 'requests:' .. name, second),
      tokens_last_minute = target.tokens_per_minute and ring_sum(namespace .. 'tokens:' .. name, second) or nil,
      requests_per_minute = target.requests_per_minute,
      requests_source = requests_source or nil,
      tokens_per_minute = target.tokens_per_minute,
      tokens_source = tokens_source or nil,
      concurrency = target.concurrency,
    }
  end
end
return #found > 0 and cjson.encode(found) or '[]'
