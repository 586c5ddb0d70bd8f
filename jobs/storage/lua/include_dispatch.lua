-- dispatch(): moves jobs from their lines to Celery's list, in fair order, while slots are free and their targets open.
-- So Celery's list stays short, and who is next is decided when a slot is free, not when a job is submitted.
-- Needs clock, record, fair_clock, rate_ring, governor, lines and publish.
-- A script that includes it takes these first:
-- KEYS
--   namespace       prefix of the keys that these functions build: which ones depends on who waits
--   window          what the workers report: their slots, and how messages are published; see report_worker
--   seq
--   messages        published jobs of normal priority
--   messages_high
--   broker_list     Celery's messages of normal priority
--   leases

local MAX_DISPATCHED = 64 -- in one call, about 2 ms
local MAX_DROPPED = 1000 -- jobs in one call that wait no more
local DEFAULT_AHEAD, DEFAULT_BATCH_SHARE = 16, 0.1

-- read_window(now): how jobs are published now. `room`: how many more may be. `message`: the template of a message, ''
-- when another broker carries the messages, nil while nobody has reported it: then nothing can be published.
-- Workers of the previous version count no calls and dispatch nothing. While one takes jobs, every job is published at
-- once, so that none waits in a line when no other worker is left.
local function read_window(now)
  local slots, until_ms, others, ahead, share, message = unpack(redis.call('HMGET', window, 'slots', 'slots_until_ms',
    'others', 'ahead', 'batch_share', 'message'))
  local current = {message = message or nil, batch_share = tonumber(share or DEFAULT_BATCH_SHARE)}
  slots = tonumber(until_ms or 0) > now and tonumber(slots) or nil
  if slots and tonumber(others or 0) > 0 or not slots and redis.call('EXISTS', namespace .. 'takers') == 1 then
    current.room = MAX_DISPATCHED
    current.publishes_all = true
    return current
  end
  ahead = tonumber(ahead or -1)
  if ahead < 0 then
    ahead = slots and math.min(16, math.max(1, math.floor(slots / 10))) or DEFAULT_AHEAD
  end
  local published = redis.call('ZCARD', messages) + redis.call('ZCARD', messages_high)
  current.room = math.max((slots or 0) - redis.call('ZCARD', leases), 0) + ahead - published
  current.published = published
  return current
end

-- give_message(id, template, order): publishes the job. order: the latest number of `seq`; nil for a new one.
local function give_message(id, template, order)
  publish(order or redis.call('INCR', seq), messages, broker_list, id, template)
  if template == '' then
    redis.call('RPUSH', namespace .. 'outbox', id)
  end
end

-- publish_at(id, job, choice, template, now, target): its claim takes what is reserved here.
local function publish_at(id, job, choice, template, now, target)
  if target.is_limited(choice) then
    target.reserve(choice)
    redis.call('HSET', job, 'target', choice.target.name, 'tokens', choice.tokens)
  end
  redis.call('HSET', job, 'published_at_ms', now)
  give_message(id, template)
end

local function is_published(id)
  return redis.call('ZSCORE', messages, id) or redis.call('ZSCORE', messages_high, id)
end

-- start_waiting(current, now): publishes the jobs that start next, as many as there is room for.
local function start_waiting(current, now)
  local line, clocks, target = lines(), fair_clocks(), targets()

  -- first_pool(lane, now): the pool and the tenant of a lane that start next, among the pools that may be open.
  local function first_pool(lane, now)
    local first
    for _, pool in ipairs(redis.call('ZRANGEBYSCORE', pools_key(lane), '-inf', now)) do
      local place = {lane = lane, pool = pool, pool_time = clocks.time(namespace .. 'clock:pools', pool)}
      place.tenant, place.tenant_time = clocks.first(line.tenants_key(place), namespace .. 'clock:' .. lane)
      if not place.tenant then
        redis.call('ZREM', pools_key(lane), pool) -- its tenants were lost
      elseif not first or place.tenant_time < first.tenant_time
        or place.tenant_time == first.tenant_time and place.pool_time < first.pool_time then
        first = place
      end
    end
    return first
  end

  -- next_place(now): the lane, pool, tenant and fair key that start next, among the pools that may be open.
  local function next_place(now)
    local best, least
    for _, lane in ipairs(LANES) do
      local lane_time = clocks.time(namespace .. 'clock', lane)
      local place = (not least or lane_time < least) and first_pool(lane, now)
      if place then
        best, least = place, lane_time
      end
    end
    if best then
      local clock = table.concat({namespace .. 'clock', best.lane, best.tenant}, ':')
      best.fair_key = clocks.first(line.fair_keys_key(best), clock) or '-'
    end
    return best
  end

  local function charge_start(place, batch_share)
    local share = place.lane == 'batch' and batch_share or 1 - batch_share
    local weight = tonumber(redis.call('HGET', namespace .. 'tenant:' .. place.tenant, 'weight') or nil) or 1
    clocks.charge(namespace .. 'clock', place.lane, 1 / math.max(share, 0.0001))
    clocks.charge(namespace .. 'clock:pools', place.pool, 1)
    clocks.charge(namespace .. 'clock:' .. place.lane, place.tenant, 1 / math.max(weight, 0.001))
    clocks.charge(table.concat({namespace .. 'clock', place.lane, place.tenant}, ':'), place.fair_key, 1)
  end

  local free, dropped = math.min(current.room, MAX_DISPATCHED), 0
  while free > 0 and dropped < MAX_DROPPED do
    local place = next_place(now)
    if not place then
      return
    end
    local id = redis.call('ZRANGE', line.key(place), 0, 0)[1]
    local job = namespace .. 'job:' .. (id or '')
    if not id then -- its line was lost
      line.leave_turns(place)
      dropped = dropped + 1
    elseif redis.call('HGET', job, 'state') ~= 'queued' or is_published(id) then -- it waits no more
      line.leave(id, place)
      dropped = dropped + 1
    else
      local request = current.publishes_all and {pool = '-'} or target.request_of(job)
      local choice, opens_at_ms, reason = target.choose(request, now)
      if choice then
        line.leave(id, place)
        charge_start(place, current.batch_share)
        publish_at(id, job, choice, current.message, now, target)
        free = free - 1
      else
        close_pool(place.pool, opens_at_ms, reason)
      end
    end
  end
end

-- publish_waiting(current, now): if jobs wait, there is room for more and it is known how to publish.
local function publish_waiting(current, now)
  if not current.message or current.room <= 0 then
    return
  end
  -- These wait for the end of a call, which may have come; or the clock was set back.
  reopen_pools(current.publishes_all and '(0' or now + 60000)
  start_waiting(current, now)
end

local function dispatch()
  if nobody_waits() then
    return
  end
  local now = now_ms()
  publish_waiting(read_window(now), now)
end

-- queue_up(id, job, pool, created): publishes a queued job at once if nobody waits and its target is open, else it enters
-- its line. Returns the number of published jobs before it; nil, its place in the lines and the number of all published
-- jobs; or nothing if it may be here or there.
-- created: of a new job, its `order` and the `message` template; it is published at the time of its creation.
local function queue_up(id, job, pool, created)
  local now = now_ms()
  local current = read_window(now)
  local message = created and created.message or current.message
  if message and current.room > 0 and nobody_waits() then
    if current.publishes_all or unlimited_target(pool) then
      if not created then
        redis.call('HSET', job, 'published_at_ms', now)
      end
      give_message(id, message, created and created.order)
      return current.published
    end
    local target = targets()
    local choice = target.choose(target.request_of(job), now)
    if choice then
      publish_at(id, job, choice, message, now, target)
      return current.published
    end
  end
  if not current.message and created then
    redis.call('HSET', window, 'message', created.message)
    current.message = created.message
  end
  local place = lines().enter(id, lines().place_of(job), created)
  if current.room <= 0 then
    return nil, place, current.published
  end
  publish_waiting(current, now)
end
