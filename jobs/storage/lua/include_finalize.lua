-- finalize(id, state, meta, result_ttl, events_ttl, events, channel): what every final write does; the last of the events
-- says how it ended. Stands on clock, count and log.
-- A job may have times to live of its own.
-- The caller has checked that the move is legal. It was given these KEYS:
--   1 job  2 request  3 events  4 attempts  5 result  6 index of the new state  7 expiry  8 totals  9 minute
--   10... every line that a job which has not ended may stand in
local function finalize(id, state, meta, result_ttl, events_ttl, events, channel)
  local now = now_ms()
  local own = redis.call('HMGET', KEYS[1], 'result_ttl', 'events_ttl')
  result_ttl, events_ttl = own[1] or result_ttl, own[2] or events_ttl
  local log_length = write_log(KEYS[3], channel, 'final', events)
  redis.call('HSET', KEYS[1], 'state', state, 'finished_at_ms', now, 'log_length', log_length)
  redis.call('HDEL', KEYS[1], 'retry_at_ms')
  redis.call('HINCRBY', KEYS[1], 'version', 1)
  for i = 10, #KEYS do
    redis.call('ZREM', KEYS[i], id)
  end
  redis.call('ZADD', KEYS[6], redis.call('HGET', KEYS[1], 'seq'), id)
  redis.call('ZADD', KEYS[7], now + result_ttl * 1000, id)
  redis.call('EXPIRE', KEYS[3], events_ttl)
  for _, i in ipairs({1, 2, 4}) do
    redis.call('EXPIRE', KEYS[i], result_ttl)
  end
  redis.call('SET', KEYS[5], meta, 'EX', result_ttl)
  count(KEYS[8], KEYS[9], state)
  redis.call('PUBLISH', KEYS[5], meta)
end
