-- note_fault: a call of a target has failed through a fault of the provider. Closes the target for a while.
-- include: clock record rate_ring lines governor
-- KEYS
--   namespace        prefix of the keys of targets and pools
--   job?             the record of the job whose call it was
-- ARGV
--   target
--   fault            'rate_limited', 'unavailable', 'quota' or 'denied'
--   retry_after_ms   from the provider; '' for none
--   started_ms       when the call started; '' for the start of the job's attempt
--   jitter           a random number from 0 up to 1
-- returns  {ms until a target of the job's pool opens, or the target without a job; 0: one is open,
--          1 if that is another target than this one, else 0}
-- Safe to send again: a fault that is counted twice closes the target a little sooner, or for a little longer.
local FAILURES_IN_A_ROW, FAILURES_IN_WINDOW, WINDOW_MS = 5, 20, 30000
local FIRST_OPEN_MS, MAX_OPEN_MS = 5000, 60000
local QUOTA_MS, DENIED_MS, REFUSED_MS = 300000, 60000, 1000

local now, key, second = now_ms(), target_key(target), math.floor(now_ms() / 1000)
local started = tonumber(started_ms) or tonumber(job and redis.call('HGET', job, 'started_at_ms') or nil) or now
local known = read_target(target)

local function whole(number)
  return string.format('%.0f', number)
end

local function close(for_ms, reason)
  if now + for_ms > known.closed_until_ms then
    redis.call('HSET', key, 'closed_until_ms', whole(now + for_ms), 'closed_reason', reason)
  end
end

-- The breaker: while it is open, no job is published for the target. Then one job tries it.
local function open_breaker(for_ms)
  redis.call('HSET', key, 'breaker_ms', for_ms, 'breaker_since_ms', whole(now))
  redis.call('HDEL', key, 'probe_until_ms', 'failures', 'window_start_ms', 'window_failures', 'window_successes')
  close(for_ms * (1 + 0.2 * jitter), 'provider_down')
end

local function count_failure()
  local start, successes = unpack(redis.call('HMGET', key, 'window_start_ms', 'window_successes'))
  if not start or now - start > WINDOW_MS then
    redis.call('HSET', key, 'window_start_ms', whole(now), 'window_failures', 0, 'window_successes', 0)
    successes = 0
  end
  local in_a_row = redis.call('HINCRBY', key, 'failures', 1)
  local in_window = redis.call('HINCRBY', key, 'window_failures', 1)
  local is_half = in_window >= successes and in_window + successes >= FAILURES_IN_WINDOW
  if in_a_row >= FAILURES_IN_A_ROW or is_half then
    open_breaker(FIRST_OPEN_MS)
  end
end

local faults = {}

function faults.unavailable()
  if not known.breaker_ms then
    return count_failure()
  end
  local since = tonumber(redis.call('HGET', key, 'breaker_since_ms') or 0)
  local is_probe = now >= known.closed_until_ms and started >= since
  if is_probe then
    open_breaker(math.min(known.breaker_ms * 2, MAX_OPEN_MS))
  end
end

-- The limit that explains a refusal. If the provider asks to wait until the oldest call is a minute old, as many calls
-- are allowed in a minute as it has admitted. If it asks for another wait, a call for each such wait, unless 0.7 of what
-- it has admitted in this minute is faster. Otherwise 0.7 of the present pace. A pace rises again with time, see
-- read_target.
local function learn_limit(admitted)
  local ring, oldest_age = namespace .. 'requests:' .. target, nil
  for age = 61, 0, -1 do
    if tonumber(redis.call('HGET', ring, (second - age) % 62) or 0) > 0 then
      oldest_age = age
      break
    end
  end
  local wait_ms, span_ms = tonumber(retry_after_ms), math.max(oldest_age or 0, 1) * 1000
  local is_a_minutes_limit = wait_ms and wait_ms > 5000 and math.abs(wait_ms - (60000 - span_ms)) <= 3000
  if is_a_minutes_limit and admitted > 0 and redis.call('HGET', key, 'requests_source') ~= 'configured' then
    redis.call('HSET', key, 'requests_per_minute', admitted, 'requests_source', 'refusal', 'learned_ms', whole(now))
    return
  end
  local gap = math.max(known.gap, span_ms / math.max(admitted, 1)) / 0.7
  if wait_ms then
    gap = math.min(wait_ms, 60000 / math.max(admitted, 1) / 0.7)
  end
  redis.call('HSET', key, 'gap_ms', gap, 'gap_since_ms', whole(now))
end

function faults.rate_limited()
  ring_add(namespace .. 'requests:' .. target, math.max(math.floor(started / 1000), second - 61), -1)
  redis.call('HDEL', key, 'breaker_ms', 'probe_until_ms', 'failures')
  local refused_before = tonumber(redis.call('HGET', key, 'refused_ms') or 0)
  local admitted = ring_sum(namespace .. 'requests:' .. target, second)
  local is_same_refusal = started <= refused_before -- it was under way when the pace was lowered
  if is_same_refusal and redis.call('HGET', key, 'requests_source') == 'refusal' then
    redis.call('HSET', key, 'requests_per_minute', math.max(math.min(known.requests_per_minute, admitted), 1))
  elseif not is_same_refusal then
    redis.call('HSET', key, 'refused_ms', whole(now))
    learn_limit(admitted)
  end
  close(math.max(tonumber(retry_after_ms) or 0, REFUSED_MS), 'provider_rate_limit')
end

function faults.quota()
  close(math.max(tonumber(retry_after_ms) or 0, QUOTA_MS), 'provider_rate_limit')
end

-- Waiting does not help, another target may: a target that stands alone stays open, so that its jobs fail at once.
function faults.denied()
  if job and #targets_of(read_place(job).pool, {}) > 1 then
    close(DENIED_MS, 'provider_down')
  end
end

faults[fault]()
redis.call('EXPIRE', key, 86400)

if not job then
  return {math.max(read_target(target).closed_until_ms - now, 0), 0}
end
local size = read_record(job, 'model', 'input_tokens', 'max_output_tokens')
local choice, opens_at_ms = choose_target(read_place(job).pool, size, now)
if choice then
  return {0, choice.target and choice.target.name ~= target and 1 or 0}
end
return {math.ceil(math.min(math.max(opens_at_ms - now, 1), 86400000)), 0}
