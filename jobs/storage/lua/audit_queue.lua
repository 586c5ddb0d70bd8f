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
local MAX_CALL_MS = 3600000 -- a call that a running job makes besides its own ends before, or with its worker
local line, clocks = lines(), fair_clocks()
local COUNTERS = {'running', 'reserved', 'reserved_tokens'}

for _, id in ipairs(ids) do
  local job = namespace .. 'job:' .. id
  local is_elsewhere = redis.call('HGET', job, 'state') ~= 'queued' or is_published(id)
    or redis.call('ZSCORE', waiting, id)
  if not is_elsewhere then
    local _, is_new = line.enter(id, line.place_of(job))
    entered = entered + (is_new and 1 or 0)
  end
end

-- The scores of a turn are never higher than its clock, unless the clock was lost: then they begin again.
local function begin_again(turn, clock)
  local flow, score = unpack(redis.call('ZREVRANGE', turn, 0, 0, 'WITHSCORES'))
  if flow and tonumber(score) > clocks.time(clock, flow) then
    redis.call('ZUNIONSTORE', turn, 1, turn, 'WEIGHTS', 0)
  end
end

-- The number of jobs that wait in a pool. Corrects the turns of its tenants and fair keys.
local function count_waiting(place)
  local number, clock = 0, namespace .. 'clock:' .. place.lane
  begin_again(line.tenants_key(place), clock)
  for _, tenant in ipairs(redis.call('ZRANGE', line.tenants_key(place), 0, -1)) do
    place.tenant = tenant
    begin_again(line.fair_keys_key(place), clock .. ':' .. tenant)
    for _, fair_key in ipairs(redis.call('ZRANGE', line.fair_keys_key(place), 0, -1)) do
      place.fair_key = fair_key
      number = number + redis.call('ZCARD', line.key(place))
    end
  end
  return number
end

local has_waiting = {}
for _, lane in ipairs(LANES) do
  redis.call('DEL', line.queued_key(lane))
  for _, pool in ipairs(redis.call('ZRANGE', pools_key(lane), 0, -1)) do
    has_waiting[pool] = true
    redis.call('HSET', line.queued_key(lane), pool, count_waiting({lane = lane, pool = pool}))
  end
end
for _, pool in ipairs(redis.call('HKEYS', namespace .. 'closed')) do
  if not has_waiting[pool] then
    redis.call('HDEL', namespace .. 'closed', pool)
  end
end

local function count_call(target, counter, number, tokens)
  each_part(target, function(name)
    counts[name] = counts[name] or {running = 0, reserved = 0, reserved_tokens = 0}
    counts[name][counter] = counts[name][counter] + number
    if counter == 'reserved' and is_number(tokens) then
      counts[name].reserved_tokens = counts[name].reserved_tokens + tokens
    end
  end)
end

local function count_job(id, counter)
  local target, tokens = unpack(redis.call('HMGET', namespace .. 'job:' .. id, 'target', 'tokens'))
  if target then
    count_call(target, counter, 1, tokens)
  end
end

for _, id in ipairs(redis.call('ZRANGE', leases, 0, -1)) do
  count_job(id, 'running')
end
for _, published in ipairs({messages, messages_high}) do
  for _, id in ipairs(redis.call('ZRANGE', published, 0, MAX_PUBLISHED)) do
    count_job(id, 'reserved')
  end
end
local calls = redis.call('HGETALL', namespace .. 'calls')
for i = 1, #calls, 2 do
  local target, started_ms = calls[i]:match('^(.*) (%d+)$')
  if target and now_ms() - started_ms < MAX_CALL_MS then
    count_call(target, 'running', tonumber(calls[i + 1]))
  else
    redis.call('HDEL', namespace .. 'calls', calls[i])
  end
end

for _, name in ipairs(redis.call('SUNION', namespace .. 'targets', namespace .. 'configured')) do
  counts[name] = counts[name] or {running = 0, reserved = 0, reserved_tokens = 0}
end
for name, right in pairs(counts) do
  local key, is_wrong = target_key(name), false
  for _, counter in ipairs(COUNTERS) do
    local counted = tonumber(redis.call('HGET', key, counter) or 0)
    if counted ~= right[counter] then
      redis.call('HSET', key, counter, right[counter])
      redis.call('EXPIRE', key, 86400)
      is_wrong = true
    end
  end
  corrected = corrected + (is_wrong and 1 or 0)
  if redis.call('EXISTS', key) == 0 then
    redis.call('SREM', namespace .. 'targets', name)
  else
    redis.call('SADD', namespace .. 'targets', name)
  end
end
dispatch()
return {entered, corrected}
