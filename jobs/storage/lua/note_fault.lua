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
local FIRST_OPEN_MS, MAX_OPEN_MS = 5000, 45000 -- with its jitter less than a minute
local QUOTA_MS, DENIED_MS, REFUSED_MS = 300000, 60000, 1000
local PACE_MARGIN, MAX_EPOCH_MS, LEAST_KEEP_MS, MAX_KEEP_MS = 1.05, 600000, 60000, 300000
local LEAST_IN_WINDOW = 5 -- a provider that refuses after fewer calls may be overloaded for other reasons

local now, key, second = now_ms(), target_key(target), math.floor(now_ms() / 1000)
local started = tonumber(started_ms) or tonumber(job and redis.call('HGET', job, 'started_at_ms') or nil) or now
local governor = targets()
local known = governor.read(target)

local function whole(number)
  return string.format('%.0f', number)
end

local function close(for_ms, reason)
  if now + for_ms > known.closed_until_ms then
    redis.call('HSET', key, 'closed_until_ms', whole(now + for_ms), 'closed_for_ms', whole(for_ms),
      'closed_reason', reason)
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
  successes = tonumber(successes) or 0
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

local requests, wait_ms = namespace .. 'requests:' .. target, tonumber(retry_after_ms)

local function oldest_age_ms()
  for age = 61, 0, -1 do
    if (tonumber(redis.call('HGET', requests, (second - age) % 62)) or 0) > 0 then
      return age * 1000
    end
  end
  return 0
end

-- learn_window(admitted): a provider that asks for a long wait counts calls in a window of time. It has admitted so many
-- since the oldest, and admits as many again when the wait is over.
local function learn_window(admitted)
  local period_ms = math.min(wait_ms + oldest_age_ms(), 60000)
  local limit = math.floor(admitted * 60000 / period_ms)
  if known.requests_per_minute then
    limit = math.min(limit, math.ceil(known.requests_per_minute * 0.97) - 1)
  end
  redis.call('HSET', key, 'requests_per_minute', math.max(limit, 1), 'requests_source', 'refusal', 'learned_ms',
    whole(now), 'window_ms', whole(period_ms))
end

-- The first guess of the pace of a bucket is that a full one holds a minute's calls. Few calls show nothing.
local function first_pace(admitted)
  return PACE_MARGIN * 60000 / math.max(admitted, 30)
end

-- learn_pace(admitted, starts): any other provider refills a bucket steadily. The bucket is empty at each refusal,
-- so the calls between two refusals show the rate.
-- The pace is kept for a while, the longer the better it is known, and rises then.
local function learn_pace(admitted, starts)
  local epoch_ms, epoch_starts = unpack(redis.call('HMGET', key, 'epoch_ms', 'epoch_starts'))
  local elapsed_ms, passed = now - (tonumber(epoch_ms) or 0), starts - (tonumber(epoch_starts) or 0)
  local gap = first_pace(admitted)
  if known.gap_ms and elapsed_ms < MAX_EPOCH_MS then
    local slower = math.max(PACE_MARGIN * elapsed_ms / math.max(passed, 1), known.gap_ms * 1.02)
    gap = math.min(slower, known.gap_ms / 0.7)
  else
    elapsed_ms = 0
    redis.call('HSET', key, 'epoch_ms', whole(now), 'epoch_starts', starts)
  end
  local keep_ms = math.min(math.max(elapsed_ms * 3, LEAST_KEEP_MS), MAX_KEEP_MS)
  redis.call('HSET', key, 'gap_ms', gap, 'gap_since_ms', whole(now + keep_ms))
  redis.call('HDEL', key, 'window_ms')
end

-- A limit that is configured or stated may explain the refusal: it is used up, if by others that use the key too.
local function learn(admitted, starts)
  local source = redis.call('HGET', key, 'requests_source')
  local is_open = not source or source == 'refusal'
  if not is_open and known.requests_per_minute and admitted >= known.requests_per_minute * 0.9 then
    return
  end
  local period_ms = (wait_ms or 0) + oldest_age_ms()
  local is_minute = period_ms >= 55000 and period_ms <= 65000
  local is_window = wait_ms and (is_minute or wait_ms >= 5000 and admitted >= LEAST_IN_WINDOW)
  if is_open and is_window and admitted > 0 then
    learn_window(admitted)
  else
    learn_pace(admitted, starts)
  end
end

-- learn_more(admitted): of calls that were under way when the pace was lowered, another was refused: fewer were admitted.
local function learn_more(admitted)
  local window_ms = tonumber(redis.call('HGET', key, 'window_ms') or nil)
  if window_ms and known.requests_per_minute then
    local limit = math.min(math.floor(admitted * 60000 / window_ms), known.requests_per_minute)
    redis.call('HSET', key, 'requests_per_minute', math.max(limit, 1))
  elseif known.gap_ms and redis.call('HGET', key, 'epoch_ms') == redis.call('HGET', key, 'refused_ms') then
    redis.call('HSET', key, 'gap_ms', math.max(known.gap_ms, first_pace(admitted)))
  end
end

-- While nothing is admitted between two refusals, the wait doubles: there the pace is not what is wrong.
function faults.rate_limited()
  ring_add(requests, math.max(math.floor(started / 1000), second - 61), -1)
  redis.call('HDEL', key, 'breaker_ms', 'probe_until_ms', 'failures')
  local refused_ms, refused_starts, in_a_row = unpack(redis.call('HMGET', key, 'refused_ms', 'refused_starts',
    'refusals_in_a_row'))
  local admitted, starts = ring_sum(requests, second), math.max(known.starts - 1, 0)
  in_a_row = tonumber(in_a_row) or 0
  if started <= (tonumber(refused_ms) or 0) then
    learn_more(admitted)
  else
    local has_admitted = known.gap == 0 or starts > (tonumber(refused_starts) or -1) -- without a pace none are counted
    in_a_row = has_admitted and 0 or math.min(in_a_row + 1, 6)
    if has_admitted or wait_ms then
      learn(admitted, starts)
    end
    redis.call('HSET', key, 'refused_ms', whole(now), 'refusals_in_a_row', in_a_row)
  end
  redis.call('HSET', key, 'starts', starts, 'refused_starts', starts)
  close(math.max(wait_ms or 0, math.min(REFUSED_MS * 2 ^ in_a_row, MAX_OPEN_MS)), 'provider_rate_limit')
  local learned = governor.read(target) -- no burst when it opens
  redis.call('HSET', key, 'next_ms', whole(learned.closed_until_ms + learned.gap * (learned.burst - 1)))
end

-- Waiting does not help, another target may: a target that stands alone stays open, so that its jobs fail at once.
local function close_if_another_may_do_it(for_ms)
  if job and #governor.names(governor.request_of(job)) > 1 then
    close(for_ms, 'provider_down')
  end
end

function faults.denied()
  close_if_another_may_do_it(DENIED_MS)
end

function faults.quota()
  close_if_another_may_do_it(QUOTA_MS)
end

faults[fault]()
redis.call('EXPIRE', key, 86400)

if not job then
  return {math.max(governor.read(target).closed_until_ms - now, 0), 0}
end
local choice, opens_at_ms = governor.choose(governor.request_of(job), now)
if choice then
  return {0, choice.target and choice.target.name ~= target and 1 or 0}
end
return {math.ceil(math.min(math.max(opens_at_ms - now, 1), 86400000)), 0}
