-- Lines: where queued jobs wait until a slot is free and their target is open. A line holds the jobs of one lane, pool,
-- tenant and fair key, in the order of their creation. A job that is tried again comes before the later ones of its line.
-- Needs clock, record, and `namespace`. State, see keys.py: line, fair-keys, tenants, pools, queued, closed.
-- Callers may invent names of models. So beyond MAX_POOLS in a lane, the jobs of other pools wait in the pool '*'. There
-- the first job waits until its own target is open, and the others wait behind it.

local LANES = {'interactive', 'batch'}
local MAX_POOLS, SHARED_POOL = 64, '*'
local function pools_key(lane)
  return namespace .. 'pools:' .. lane
end

-- notify_leader(wait_ms): a pool may be open then. The leader dispatches, see dispatcher.py. What opens later than its next
-- tick it finds without a notification.
local LEADER_TICK_MS = 500
local function notify_leader(wait_ms)
  if wait_ms < LEADER_TICK_MS then
    redis.call('PUBLISH', namespace .. 'opening', string.format('%.0f', math.max(math.ceil(wait_ms), 0)))
  end
end

-- close_pool(pool, at, reason): no job of the pool is looked at before then.
local function close_pool(pool, at, reason)
  notify_leader(at - now_ms())
  local score = at == math.huge and '+inf' or string.format('%.0f', math.ceil(at))
  for _, lane in ipairs(LANES) do
    redis.call('ZADD', pools_key(lane), 'XX', score, pool)
  end
  redis.call('HSET', namespace .. 'closed', pool, reason or 'provider_rate_limit')
end

-- wait_of(pool, opens_at_ms, now): what the jobs of a pool wait for, and the ms until which it is closed or -1; 'slot' for
-- an open pool. opens_at_ms: its score.
local function wait_of(pool, opens_at_ms, now)
  local reason = opens_at_ms > now and redis.call('HGET', namespace .. 'closed', pool)
  return reason or 'slot', reason and opens_at_ms < math.huge and opens_at_ms or -1
end

-- reopen_pools(from): looks again at the pools that are closed until `from` or later; '(0': at all.
local function reopen_pools(from)
  for _, lane in ipairs(LANES) do
    for _, pool in ipairs(redis.call('ZRANGEBYSCORE', pools_key(lane), from, '+inf')) do
      redis.call('ZADD', pools_key(lane), 0, pool)
    end
  end
end

local function nobody_waits()
  return redis.call('EXISTS', pools_key('interactive'), pools_key('batch')) == 0
end

-- lines(): the functions for waiting jobs. They are made only when jobs wait: to make a function takes time in each call
-- of a script, and most calls find nobody waiting.
local made_lines
local function lines()
  if made_lines then
    return made_lines
  end
  local PLACE_FIELDS = {'lane', 'pool', 'tenant', 'fair_key', 'seq'}

  -- read_place(job): where a job waits. A record of the previous version has no pool and no lane.
  local function read_place(job)
    local place = {}
    for i, value in ipairs(redis.call('HMGET', job, unpack(PLACE_FIELDS))) do
      place[PLACE_FIELDS[i]] = value
    end
    place.lane = place.lane == 'batch' and 'batch' or 'interactive'
    place.pool = place.pool or '-'
    place.tenant = (place.tenant or 'default'):gsub(':', '_') -- with a colon, two lines could have the same key
    place.fair_key = (place.fair_key or '-'):gsub(':', '_')
    return place
  end

  local function in_shared_pool(place)
    return {lane = place.lane, pool = SHARED_POOL, tenant = place.tenant, fair_key = place.fair_key, seq = place.seq}
  end

  local function queued_key(lane)
    return namespace .. 'queued:' .. lane
  end

  local function tenants_key(place)
    return table.concat({namespace .. 'tenants', place.lane, place.pool}, ':')
  end

  local function fair_keys_key(place)
    return table.concat({namespace .. 'fair-keys', place.lane, place.tenant, place.pool}, ':')
  end

  local function line_key(place)
    return table.concat({namespace .. 'line', place.lane, place.tenant, place.fair_key, place.pool}, ':')
  end

  -- place_in_line(id, place): where the job waits: in its own pool or in the shared one; nothing if in neither.
  local function place_in_line(id, place)
    if redis.call('ZSCORE', line_key(place), id) then
      return place
    end
    local shared = in_shared_pool(place)
    return redis.call('ZSCORE', line_key(shared), id) and shared
  end

  local function choose_pool(id, place)
    local pools = pools_key(place.lane)
    if redis.call('ZSCORE', pools, place.pool) or redis.call('ZCARD', pools) < MAX_POOLS then
      return place
    end
    return in_shared_pool(place)
  end

  -- enter_line(id, place, is_created). Returns where the job waits, and whether it was in no line before.
  -- It also repairs what was lost of the way to the line. is_created: the job is new, so it is in no line.
  local function enter_line(id, place, is_created)
    place = not is_created and place_in_line(id, place) or choose_pool(id, place)
    local is_new = redis.call('ZADD', line_key(place), is_number(place.seq) and place.seq or 0, id) == 1
    redis.call('ZADD', fair_keys_key(place), 'NX', 0, place.fair_key)
    redis.call('ZADD', tenants_key(place), 'NX', 0, place.tenant)
    redis.call('ZADD', pools_key(place.lane), 'NX', 0, place.pool)
    if is_new then
      redis.call('HINCRBY', queued_key(place.lane), place.pool, 1)
    end
    return place, is_new
  end

  -- leave_turns(place): when nobody waits there any more.
  local function leave_turns(place)
    if redis.call('EXISTS', line_key(place)) == 1 then
      return
    end
    redis.call('ZREM', fair_keys_key(place), place.fair_key)
    if redis.call('EXISTS', fair_keys_key(place)) == 1 then
      return
    end
    redis.call('ZREM', tenants_key(place), place.tenant)
    if redis.call('EXISTS', tenants_key(place)) == 1 then
      return
    end
    redis.call('ZREM', pools_key(place.lane), place.pool)
    redis.call('HDEL', queued_key(place.lane), place.pool)
    for _, lane in ipairs(LANES) do
      if redis.call('ZSCORE', pools_key(lane), place.pool) then
        return
      end
    end
    redis.call('HDEL', namespace .. 'closed', place.pool)
  end

  -- leave_line(id, place). Returns whether the job was in a line.
  local function leave_line(id, place)
    if redis.call('ZREM', line_key(place), id) == 0 then
      place = place_in_line(id, place)
      if not place then
        return false
      end
      redis.call('ZREM', line_key(place), id)
    end
    redis.call('HINCRBY', queued_key(place.lane), place.pool, -1)
    leave_turns(place)
    return true
  end

  made_lines = {place_of = read_place, find = place_in_line, enter = enter_line, leave = leave_line,
    leave_turns = leave_turns, key = line_key, fair_keys_key = fair_keys_key, tenants_key = tenants_key,
    queued_key = queued_key}
  return made_lines
end
