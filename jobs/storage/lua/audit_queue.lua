-- audit_queue: repairs what does not add up after a fault of Redis or of another version: counts of running and reserved
-- calls, and queued jobs that wait nowhere.
-- include: clock record fair_clock rate_ring lines governor publish dispatch
-- KEYS
--   waiting
-- ARGV
--   ids...   queued jobs to check
-- returns  {jobs that have entered their line, targets whose counts were corrected}
-- Safe to send again.
local entered, corrected, counts = 0, 0, {}
local MAX_PUBLISHED = 5000 -- more come only from the previous version, which reserves nothing

for _, id in ipairs(ids) do
  local job = namespace .. 'job:' .. id
  local waits_somewhere = redis.call('HGET', job, 'state') ~= 'queued' or redis.call('ZSCORE', messages, id)
    or redis.call('ZSCORE', messages_high, id) or redis.call('ZSCORE', waiting, id)
  if not waits_somewhere and enter_line(id, read_place(job)) then
    entered = entered + 1
  end
end

local function add(id, counter)
  local target, tokens = unpack(redis.call('HMGET', namespace .. 'job:' .. id, 'target', 'tokens'))
  if not target then
    return
  end
  each_part(target, function(name)
    counts[name] = counts[name] or {running = 0, reserved = 0, reserved_tokens = 0}
    counts[name][counter] = counts[name][counter] + 1
    if counter == 'reserved' then
      counts[name].reserved_tokens = counts[name].reserved_tokens + (tonumber(tokens) or 0)
    end
  end)
end

for _, id in ipairs(redis.call('ZRANGE', leases, 0, -1)) do
  add(id, 'running')
end
for _, published in ipairs({messages, messages_high}) do
  for _, id in ipairs(redis.call('ZRANGE', published, 0, MAX_PUBLISHED)) do
    add(id, 'reserved')
  end
end

for _, name in ipairs(redis.call('SUNION', namespace .. 'targets', namespace .. 'configured')) do
  local key, right = target_key(name), counts[name] or {running = 0, reserved = 0, reserved_tokens = 0}
  if redis.call('EXISTS', key) == 0 then
    redis.call('SREM', namespace .. 'targets', name)
  else
    local is_wrong = false
    for counter, value in pairs(right) do
      if tonumber(redis.call('HGET', key, counter) or 0) ~= value then
        redis.call('HSET', key, counter, value)
        is_wrong = true
      end
    end
    corrected = corrected + (is_wrong and 1 or 0)
  end
end
dispatch()
return {entered, corrected}
