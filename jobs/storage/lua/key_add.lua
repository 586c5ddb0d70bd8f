-- key_add: stores a new API key of a tenant that exists and is not archived.
-- include: clock
-- KEYS
--   key             the record
--   keys_of_tenant
--   tenant          the record of the tenant
-- ARGV
--   id
--   is_default      '1': the default tenant, which needs no record
--   lifetime_ms     '' for a key that does not expire
--   fields...       field, value, ... of the record
-- returns  {added, time in ms, end of its life in ms or ''}, {no_tenant} or {archived}
-- Safe to send again.
if is_default ~= '1' and redis.call('EXISTS', tenant) == 0 then
  return {'no_tenant'}
end
if redis.call('HGET', tenant, 'archived_at_ms') then
  return {'archived'}
end
local now = now_ms()
local expires_at = lifetime_ms == '' and '' or string.format('%.0f', now + lifetime_ms)
redis.call('HSET', key, 'created_at_ms', now, unpack(fields))
if expires_at ~= '' then
  redis.call('HSET', key, 'expires_at_ms', expires_at)
end
redis.call('ZADD', keys_of_tenant, now, id)
return {'added', now, expires_at}
