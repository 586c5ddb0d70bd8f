-- Lines: where queued jobs wait until a slot is free and their target is open. A line holds the jobs of one lane, pool,
-- tenant and fair key, in the order of their creation. A job that is tried again comes before the later ones of its line.
-- Needs `namespace`. State, see keys.py: line, fair-keys, tenants, pools, queued.

local LANES = {'interactive', 'batch'}
local PLACE_FIELDS = {'lane', 'pool', 'tenant', 'fair_key', 'seq'}

-- read_place(job): where a job waits. A record of the previous version has no pool and no lane.
local function read_place(job)
  local place = {}
  for i, value in ipairs(redis.call('HMGET', job, unpack(PLACE_FIELDS))) do
    place[PLACE_FIELDS[i]] = value
  end
  place.lane = place.lane == 'batch' and 'batch' or 'interactive'
  place.pool, place.tenant, place.fair_key = place.pool or '-', place.tenant or 'default', place.fair_key or '-'
  return place
end

local function pools_key(lane)
  return namespace .. 'pools:' .. lane
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

-- enter_line(id, place). Returns whether the job was not in its line before.
local function enter_line(id, place)
  if redis.call('ZADD', line_key(place), tonumber(place.seq) or 0, id) == 0 then
    return false
  end
  redis.call('ZADD', fair_keys_key(place), 'NX', 0, place.fair_key)
  redis.call('ZADD', tenants_key(place), 'NX', 0, place.tenant)
  redis.call('ZADD', pools_key(place.lane), 'NX', 0, place.pool)
  redis.call('HINCRBY', queued_key(place.lane), place.pool, 1)
  return true
end

-- leave_line(id, place). Returns whether the job was in its line.
local function leave_line(id, place)
  local line = line_key(place)
  if redis.call('ZREM', line, id) == 0 then
    return false
  end
  local left = redis.call('HINCRBY', queued_key(place.lane), place.pool, -1)
  if left <= 0 then
    redis.call('HDEL', queued_key(place.lane), place.pool)
  end
  if redis.call('EXISTS', line) == 0 then
    redis.call('ZREM', fair_keys_key(place), place.fair_key)
    if redis.call('EXISTS', fair_keys_key(place)) == 0 then
      redis.call('ZREM', tenants_key(place), place.tenant)
      if redis.call('EXISTS', tenants_key(place)) == 0 then
        redis.call('ZREM', pools_key(place.lane), place.pool)
      end
    end
  end
  return true
end

-- close_pool(pool, at, reason): no job of the pool is looked at before then.
local function close_pool(pool, at, reason)
  local score = at == math.huge and '+inf' or string.format('%.0f', math.ceil(at))
  for _, lane in ipairs(LANES) do
    redis.call('ZADD', pools_key(lane), 'XX', score, pool)
  end
  redis.call('HSET', namespace .. 'closed', pool, reason)
end

-- reopen_pools(from): looks again at the pools that are closed until `from` or later; '(0': at all.
local function reopen_pools(from)
  for _, lane in ipairs(LANES) do
    for _, pool in ipairs(redis.call('ZRANGEBYSCORE', pools_key(lane), from, '+inf')) do
      redis.call('ZADD', pools_key(lane), 0, pool)
    end
  end
end
