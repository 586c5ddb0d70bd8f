-- key_use: reads an API key and the tenant for which it is used, and records the use by the minute.
-- include: clock
-- KEYS
--   key        the record
--   namespace  prefix of the tenants' keys
-- ARGV
--   project    the tenant that a key for any tenant acts for; '' for the key's own
-- returns  {time in ms, the fields of the tenant, the fields of the key}: field, value, ...; the lists may be empty
-- Safe to send again.
local USE_MS = 60000
local fields = redis.call('HGETALL', key)
if #fields == 0 then
  return {now_ms(), {}, {}}
end
local now, used_at = now_ms(), redis.call('HGET', key, 'last_used_at_ms')
local tenant = project ~= '' and project or redis.call('HGET', key, 'tenant') or ''
if not used_at or math.abs(now - (tonumber(used_at) or 0)) >= USE_MS then
  redis.pcall('HSET', key, 'last_used_at_ms', now) -- not while Redis is full: results are still read then
end
return {now, redis.call('HGETALL', namespace .. 'tenant:' .. tenant), fields}
