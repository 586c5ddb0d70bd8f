-- The governor: whether a target may be called now, and the count of its calls. A target is a provider and one of its
-- models ('main/gpt-5-mini'); the provider itself ('main') may have limits too, and both must be open.
-- Needs clock, record and rate_ring, and `namespace`.
-- State, see keys.py: target:{name}, a hash; requests:{name} and tokens:{name}, rate rings.

local NEVER = math.huge
local TARGET_FIELDS = {'requests_per_minute', 'tokens_per_minute', 'concurrency', 'closed_until_ms', 'running', 'reserved',
  'reserved_tokens', 'next_ms', 'starts', 'probe_until_ms', 'breaker_ms', 'input_scale', 'output_tokens', 'gap_ms',
  'gap_since_ms', 'learned_ms'}

local function target_key(name)
  return namespace .. 'target:' .. name
end

local function provider_of(target)
  return target:match('^[^/]*')
end

-- pace(target): the least ms between two starts, and how many may start at once. A limit of N a minute is paced evenly:
-- some providers refuse 60 requests in one second though 60 a minute are allowed. A target of which nothing is known
-- is approached in steps: the gap halves every 64 starts, which delays the first thousand by 1.5 s in all. So a limit
-- shows itself by a few refusals and not by hundreds.
-- What was learned from refusals is tried again: a pace rises by 5 % in 10 s, a limit after 5 minutes by 2 % a minute.
local FIRST_GAP_MS, FIRST_BURST, STARTS_PER_HALVING, LEAST_GAP_MS = 16, 16, 64, 0.01
local function pace(target)
  local limit, gap, burst = target.requests_per_minute, target.gap_ms or 0, 1
  if limit then
    burst = limit < 40 and 1 or math.max(2, math.floor(limit * 0.03))
    return math.max(gap, 61000 / (limit - burst + 1)), burst
  end
  if gap > 0 then
    return gap, burst
  end
  gap = FIRST_GAP_MS * 2 ^ -(target.starts / STARTS_PER_HALVING)
  return gap > LEAST_GAP_MS and gap or 0, FIRST_BURST
end

local function forget_slowly(target, now)
  if target.gap_ms then
    local gap = target.gap_ms / 1.05 ^ ((now - (target.gap_since_ms or now)) / 10000)
    target.gap_ms = gap > 1 and gap or nil
  end
  if target.learned_ms and target.requests_per_minute then
    local minutes = math.max((now - target.learned_ms) / 60000 - 5, 0)
    target.requests_per_minute = math.floor(target.requests_per_minute * 1.02 ^ minutes)
  end
end

-- read_target(name): its fields as numbers, 0 where a counter is missing or has fallen below. `closed_reason` is text.
-- `exists`: something is known of it. `gap`, `burst`: its pace. `is_limited`: a call may have to wait.
local function read_target(name)
  local values, target = redis.call('HMGET', target_key(name), 'closed_reason', unpack(TARGET_FIELDS)), {name = name}
  for i, field in ipairs(TARGET_FIELDS) do
    target[field] = tonumber(values[i + 1] or nil)
    target.exists = target.exists or target[field] ~= nil
  end
  target.closed_reason = values[1]
  forget_slowly(target, now_ms())
  for _, counter in ipairs({'running', 'reserved', 'reserved_tokens', 'starts', 'next_ms', 'closed_until_ms'}) do
    target[counter] = math.max(target[counter] or 0, 0)
  end
  target.gap, target.burst = pace(target)
  target.is_limited = target.gap > 0
    or (target.tokens_per_minute or target.concurrency or target.breaker_ms) ~= nil
  return target
end

-- read_provider(target): the same for the target's provider. Without limits of its own it is always open.
local function read_provider(target)
  local provider = read_target(provider_of(target))
  if not provider.exists then
    provider.gap, provider.is_limited = 0, false
  end
  return provider
end

-- tokens_of(target, record): the tokens that a job may use there. Both parts follow what earlier jobs used.
local function tokens_of(target, record)
  if not target.tokens_per_minute then
    return 0
  end
  return math.ceil((record.input_tokens or 0) * (target.input_scale or 1))
    + (record.max_output_tokens or target.output_tokens or 1000)
end

-- opens_at(target, tokens, now): 0 if a call may start now, else the ms at which it may, and why not. NEVER: when a
-- running call ends. A call that is larger than the whole limit counts as open: its claim fails it.
local function opens_at(target, tokens, now)
  if target.closed_until_ms > now then
    return target.closed_until_ms, target.closed_reason
  end
  if target.breaker_ms and (target.probe_until_ms or 0) > now then
    return target.probe_until_ms, 'provider_down'
  end
  if target.concurrency and target.running + target.reserved >= target.concurrency then
    return NEVER, 'provider_rate_limit'
  end
  if target.gap > 0 then
    local next_ms = math.min(target.next_ms, now + target.gap * target.burst) -- the clock may have been set back
    local at = math.max(next_ms, now) + target.gap * (target.reserved + 1 - target.burst)
    if at > now then
      return at, 'provider_rate_limit'
    end
  end
  local second = math.floor(now / 1000)
  local requests, limit = namespace .. 'requests:' .. target.name, target.requests_per_minute
  local excess = limit and ring_sum(requests, second) + target.reserved + 1 - limit or 0
  if excess > 0 then
    return ring_opens_at(requests, second, excess) or now + 1000, 'provider_rate_limit'
  end
  local token_ring, token_limit = namespace .. 'tokens:' .. target.name, target.tokens_per_minute
  if token_limit and tokens <= token_limit then
    excess = ring_sum(token_ring, second) + target.reserved_tokens + tokens - token_limit
    if excess > 0 then
      return ring_opens_at(token_ring, second, excess) or now + 1000, 'provider_rate_limit'
    end
  end
  return 0
end

-- targets_of(pool, record): the targets of a pool in order of preference; none for jobs that call no provider.
local function targets_of(pool, record)
  if pool == '-' then
    return {}
  end
  local route, names = redis.call('HGET', namespace .. 'routes', pool), {}
  for name in (route or 'main/' .. (pool == '*' and record.model or pool)):gmatch('[^\n]+') do
    names[#names + 1] = name
  end
  return names
end

-- choose_target(pool, record, now): the first target that is open, as {target, provider, tokens}; nothing when none
-- is, then the ms at which one may be, and why. An empty choice is for jobs that call no provider.
local function choose_target(pool, record, now)
  local names, least, least_reason = targets_of(pool, record), NEVER, nil
  for _, name in ipairs(names) do
    local target, provider = read_target(name), read_provider(name)
    local tokens = math.max(tokens_of(target, record), tokens_of(provider, record))
    local at, reason = opens_at(target, tokens, now)
    local provider_at, provider_reason = opens_at(provider, tokens, now)
    if provider_at > at then
      at, reason = provider_at, provider_reason
    end
    if at == 0 then
      return {target = target, provider = provider, tokens = tokens}
    end
    if at < least or not least_reason then
      least, least_reason = at, reason
    end
  end
  if #names == 0 then
    return {tokens = 0}
  end
  return nil, least, least_reason
end

-- parts_of(choice): the target, and its provider if that has limits: calls of another provider are not counted.
local function parts_of(choice)
  if not choice.target then
    return {}
  end
  return choice.provider.exists and {choice.target, choice.provider} or {choice.target}
end

-- is_larger_than_limit(choice): whether no minute has enough tokens for the job.
local function is_larger_than_limit(choice)
  for _, part in ipairs(parts_of(choice)) do
    if part.tokens_per_minute and choice.tokens > part.tokens_per_minute then
      return true
    end
  end
  return false
end

-- reserve(choice, now): for a published job whose call has not started; the claim takes it.
local function reserve(choice, now)
  for _, part in ipairs(parts_of(choice)) do
    if part.is_limited then
      redis.call('HINCRBY', target_key(part.name), 'reserved', 1)
      redis.call('HINCRBY', target_key(part.name), 'reserved_tokens', choice.tokens)
      if part.breaker_ms then -- this job is the probe
        redis.call('HSET', target_key(part.name), 'probe_until_ms', now + 60000)
      end
    end
  end
end

-- each_part(target_name, act): for the target, and for its provider if that has limits.
local function each_part(target_name, act)
  act(target_name)
  local provider = provider_of(target_name)
  if redis.call('EXISTS', target_key(provider)) == 1 then
    act(provider)
  end
end

local function cancel_reservation(target_name, tokens)
  each_part(target_name, function(name)
    redis.call('HINCRBY', target_key(name), 'reserved', -1)
    redis.call('HINCRBY', target_key(name), 'reserved_tokens', -(tonumber(tokens) or 0))
  end)
end

-- take(choice, now): counts a call that starts now.
local function take(choice, now)
  local second = math.floor(now / 1000)
  for _, part in ipairs(parts_of(choice)) do
    local key = target_key(part.name)
    if part.gap > 0 then
      local next_ms = math.max(math.min(part.next_ms, now + part.gap * part.burst), now) + part.gap
      redis.call('HSET', key, 'next_ms', string.format('%.3f', next_ms))
    end
    redis.call('HINCRBY', key, 'running', 1)
    redis.call('HINCRBY', key, 'starts', 1)
    ring_add(namespace .. 'requests:' .. part.name, second, 1)
    if part.tokens_per_minute then
      ring_add(namespace .. 'tokens:' .. part.name, second, choice.tokens)
    end
    if part.breaker_ms then
      redis.call('HSET', key, 'probe_until_ms', now + 60000)
    end
    redis.call('EXPIRE', key, 86400)
    if part.starts == 0 then
      redis.call('SADD', namespace .. 'targets', part.name)
    end
  end
end

-- note_success(target_name): the provider works. A breaker that was open closes.
local function note_success(target_name)
  local key = target_key(target_name)
  local failures, start, breaker = unpack(redis.call('HMGET', key, 'failures', 'window_start_ms', 'breaker_ms'))
  if failures then
    redis.call('HDEL', key, 'failures')
  end
  if start then
    redis.call('HINCRBY', key, 'window_successes', 1)
  end
  if breaker then
    redis.call('HDEL', key, 'breaker_ms', 'breaker_since_ms', 'probe_until_ms', 'closed_until_ms', 'closed_reason')
    reopen_pools('(0')
  end
end

-- token_count(name): how the target or provider counts tokens.
local function token_count(name)
  local counts = namespace .. 'token-counts'
  return redis.call('HGET', counts, name) or redis.call('HGET', counts, provider_of(name))
end

-- end_call(target_name, tokens, started_ms, used, now): a call has ended. Where the provider judges what was used,
-- the difference to the estimate is given back to the second in which the call started. used: nil if unknown.
local function end_call(target_name, tokens, started_ms, used, now)
  each_part(target_name, function(name)
    local key = target_key(name)
    redis.call('HINCRBY', key, 'running', -1)
    local started, estimate = math.floor((tonumber(started_ms) or 0) / 1000), tonumber(tokens) or 0
    local is_counted = used and estimate > 0 and math.floor(now / 1000) - started <= 61
    if is_counted and token_count(name) == 'used' then
      ring_add(namespace .. 'tokens:' .. name, started, used - estimate)
    end
  end)
end
