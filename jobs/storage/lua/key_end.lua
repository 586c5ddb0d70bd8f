-- key_end: revokes an API key, or lets it expire. The record stays.
-- include: clock
-- KEYS
--   key       the record
-- ARGV
--   after_ms  until it expires; 0: it is revoked
-- returns  the fields of the record: field, value, ...; none if there is no such key
-- Safe to send again: a key never lives longer than before.
if redis.call('EXISTS', key) == 1 then
  local now = now_ms()
  if after_ms == '0' then
    redis.call('HSETNX', key, 'revoked_at_ms', now)
  else
    local ends_at = tonumber(redis.call('HGET', key, 'expires_at_ms') or math.huge)
    redis.call('HSET', key, 'expires_at_ms', string.format('%.0f', math.min(ends_at, now + after_ms)))
  end
end
return redis.call('HGETALL', key)
