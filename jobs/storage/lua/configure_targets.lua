-- configure_targets: the routes and the limits of the configuration. The leader repeats it, so that what was lost
-- comes back, and a limit that is no longer configured goes.
-- include: clock record rate_ring lines governor
-- KEYS
--   namespace   prefix of the keys of targets and pools
-- ARGV
--   routes        JSON: {pool: [target, ...]}
--   limits        JSON: {target or provider: {field: value}}
--   token_counts  JSON: {target or provider: 'reserved' or 'used'}
-- returns  nothing
-- Safe to send again.
local routes_key, configured = namespace .. 'routes', namespace .. 'configured'
local SOURCES = {requests_per_minute = 'requests_source', tokens_per_minute = 'tokens_source'}

redis.call('DEL', routes_key)
for pool, names in pairs(cjson.decode(routes)) do
  redis.call('HSET', routes_key, pool, table.concat(names, '\n'))
end

local function forget_used_share(name)
  if token_count(name) ~= 'used' then
    redis.call('HDEL', target_key(name), 'used_share')
  end
end

local function drop_unconfigured(name, fields)
  local key = target_key(name)
  for limit, source in pairs(SOURCES) do
    if not fields[limit] and redis.call('HGET', key, source) == 'configured' then
      redis.call('HDEL', key, limit, source)
    end
  end
  if not fields.concurrency then
    redis.call('HDEL', key, 'concurrency')
  end
  forget_used_share(name)
end

redis.call('DEL', namespace .. 'token-counts')
for name, count in pairs(cjson.decode(token_counts)) do
  redis.call('HSET', namespace .. 'token-counts', name, count)
end

local wanted = cjson.decode(limits)
for _, name in ipairs(redis.call('SMEMBERS', configured)) do
  drop_unconfigured(name, wanted[name] or {})
  if not wanted[name] then
    redis.call('SREM', configured, name)
  end
end
for name, fields in pairs(wanted) do
  redis.call('SADD', configured, name)
  for field, value in pairs(fields) do
    redis.call('HSET', target_key(name), field, value)
    if SOURCES[field] then
      redis.call('HSET', target_key(name), SOURCES[field], 'configured')
    end
  end
  forget_used_share(name)
  if fields.requests_per_minute then
    redis.call('HDEL', target_key(name), 'learned_ms', 'window_ms') -- what was learned rises with time
  end
end
reopen_pools('(0') -- a limit may have been raised
if not nobody_waits() then
  notify_leader(0)
end
