-- create: writes the record of a new job, and publishes its message in the same step if a slot is free for it.
-- include: clock record count version fair_clock rate_ring lines governor publish dispatch wait_estimate position tenant_index
-- KEYS
--   job              the record
--   request
--   all_index
--   queued_index
--   totals
--   deadlines
--   full
--   bytes            the size of the requests of all jobs that have not ended
--   dedup?           the key that identifies equal requests, see dedup_mode
-- ARGV
--   id
--   tenant
--   dedup_mode       'idempotency_key': dedup is the Idempotency-Key; it finds its job while that has a record
--                    'retry': dedup is the record of the job that this one retries
--                    'resend': dedup lists the jobs of equal requests, which a client may resend
--                    '': the job is not deduplicated
--   dedup_token      fingerprint of the request (idempotency_key), its resend count (resend), or ''
--   dedup_ttl        TTL of dedup, s
--   max_queued       maximum number of queued jobs
--   max_bytes        maximum size of the requests of all jobs that have not ended
--   message          template of the Celery message; '' when another broker carries the messages
--   body             the request, JSON
--   deadline_ms      from now
--   start_by_ms      from now, until the first attempt must have started; '' for no such limit
--   cancel_after_ms  from now; '' for no such limit
--   pool             as in the record
--   fields...        field, value, ... of the record
-- returns  {created, id, time of creation in ms, order of creation, and what position returns}
--          {existing, id}: an earlier request with that key, retry or resend created the job
--          {conflict, id}: the key was used with another request
--          {gone, ''}: the job to retry no longer exists
--          {full, depth}: nothing was written; the queue is full
--          {full_of_bytes, size}: nothing was written; with this request, the requests would have that size
--          {no_memory, ''}: nothing was written; recovery has found Redis nearly full
-- Safe to send again: the same id is created once.
local function created_answer(created_at_ms, order, where)
  return {'created', id, created_at_ms, order, unpack(where)}
end

local recorded_at_ms, recorded_order = unpack(redis.call('HMGET', job, 'created_at_ms', 'seq'))
if recorded_at_ms then
  return created_answer(recorded_at_ms, recorded_order, position(id, job))
end

-- deduplication(): two functions for the mode of this request. find_existing(): the reply if the job exists or must not
-- be created, else nothing. remember(): lets a later create find this job.
local function deduplication()
  local find_existing, remember = {}, {}

  function find_existing.idempotency_key()
    local entry = redis.call('GET', dedup)
    if entry then
      local fingerprint, existing_id = entry:match('^(%S+) (%S+)')
      if fingerprint ~= dedup_token then
        return {'conflict', existing_id or ''}
      end
      local existing_job = job:sub(1, -#id - 1) .. existing_id
      if redis.call('EXISTS', existing_job) == 1 then
        return {'existing', existing_id}
      end -- its record has expired, or Redis has lost it: the job is created again
    end
  end

  function find_existing.retry()
    local retried_as = redis.call('HGET', dedup, 'retried_as')
    if redis.call('EXISTS', dedup) == 0 then
      return {'gone', ''}
    end
    if retried_as then
      return {'existing', retried_as}
    end
  end

  -- Among the jobs of equal requests, chooses the latest of those with the lowest resend count. A job that was resent
  -- at least as often as this request, or whose call was answered, belongs to another call.
  function find_existing.resend()
    if dedup_token == '0' then
      return
    end
    local least, found_at, found_id = tonumber(dedup_token), nil, nil
    for i, entry in ipairs(redis.call('LRANGE', dedup, 0, -1)) do
      local entry_id, resend_count, resent_by = entry:match('^(%S+) (%d+) (%S+)$')
      if resent_by == id then
        return {'existing', entry_id}
      end
      if resend_count and tonumber(resend_count) < least then
        least, found_at, found_id = tonumber(resend_count), i - 1, entry_id
      end
    end
    if found_id then
      redis.call('LSET', dedup, found_at, found_id .. ' ' .. dedup_token .. ' ' .. id)
      redis.call('EXPIRE', dedup, dedup_ttl)
      return {'existing', found_id}
    end
  end

  function remember.idempotency_key()
    redis.call('SET', dedup, dedup_token .. ' ' .. id, 'EX', dedup_ttl)
  end

  function remember.retry()
    redis.call('HSET', dedup, 'retried_as', id)
    next_version(dedup)
  end

  function remember.resend()
    redis.call('LPUSH', dedup, id .. ' ' .. dedup_token .. ' ' .. id)
    redis.call('LTRIM', dedup, 0, 31)
    redis.call('EXPIRE', dedup, dedup_ttl)
  end

  return find_existing[dedup_mode], remember[dedup_mode]
end

local find_existing, remember
if dedup_mode ~= '' then
  find_existing, remember = deduplication()
end
local existing = find_existing and find_existing()
if existing then
  return existing
end
local depth = redis.call('ZCARD', queued_index)
if depth >= tonumber(max_queued) then
  return {'full', tostring(depth)}
end
if redis.call('EXISTS', full) == 1 then
  return {'no_memory', ''}
end
local total_bytes = redis.call('HINCRBY', bytes, 'requests', #body)
if total_bytes > tonumber(max_bytes) then
  redis.call('HINCRBY', bytes, 'requests', -#body)
  return {'full_of_bytes', string.format('%.0f', total_bytes)}
end

local now = now_ms()
local order = redis.call('INCR', seq)
redis.call('HSET', job, 'state', 'queued', 'version', 1, 'seq', order, 'attempts', 0, 'token', 0,
  'created_at_ms', now, 'request_bytes', #body, 'deadline_ms', now + deadline_ms, unpack(fields))

local first_limit = now + deadline_ms
local function set_limit(field, after_ms)
  if after_ms ~= '' then
    redis.call('HSET', job, field, now + after_ms)
    first_limit = math.min(first_limit, now + after_ms)
  end
end
set_limit('start_by_ms', start_by_ms)
set_limit('cancel_at_ms', cancel_after_ms)

redis.call('SET', request, body)
redis.call('ZADD', all_index, order, id)
redis.call('ZADD', queued_index, order, id)
enter_index(tenant, id, order)
add_bytes(tenant, 'requests', #body)
redis.call('ZADD', deadlines, first_limit, id)
if remember then
  remember()
end
count(totals, minute, 'created')
local published_before, place, published = queue_up(id, job, pool, {order = order, message = message})
local where = published_before and published_position(published_before) or place and line_position(id, place, published)
return created_answer(now, order, where or position(id, job))
