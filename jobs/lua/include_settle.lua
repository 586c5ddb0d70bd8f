-- settle(k, id, state, meta, result_ttl, events_ttl, event, channel): what every final write does.
-- k: job, request, events, attempts, result, index (of the new state), expiry, totals, minute
-- The caller has checked that the move is legal and has taken the job out of the index of its old state.
local function settle(k, id, state, meta, result_ttl, events_ttl, event, channel)
  local now = now_ms()
  redis.call('HSET', k.job, 'state', state, 'finished_at_ms', now)
  redis.call('HINCRBY', k.job, 'version', 1)
  redis.call('ZADD', k.index, redis.call('HGET', k.job, 'seq'), id)
  redis.call('ZADD', k.expiry, now + result_ttl * 1000, id)
  local length = redis.call('RPUSH', k.events, event)
  redis.call('EXPIRE', k.events, events_ttl)
  for _, key in ipairs({k.job, k.request, k.attempts}) do
    redis.call('EXPIRE', key, result_ttl)
  end
  redis.call('SET', k.result, meta, 'EX', result_ttl)
  count(k.totals, k.minute, state)
  redis.call('PUBLISH', k.result, meta)
  redis.call('PUBLISH', channel, length)
end
