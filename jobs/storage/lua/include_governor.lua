-- The governor: whether a target may be called now, and the count of its calls. A target is a provider and one of its
-- models ('main/gpt-5-mini'); the provider itself ('main') may have limits too, and both must be open.
-- Needs clock, record and rate_ring, and `namespace`.
-- State, see keys.py: target:{name}, a hash; requests:{name} and tokens:{name}, rate rings.

local function target_key(name)
  return namespace .. 'target:' .. name
end

local function provider_of(target)
  return target:match('^[^/]*')
end

-- each_part(target_name, act): for the target, and for its provider if that has limits.
local function each_part(target_name, act)
  act(target_name)
  local provider = provider_of(target_name)
  if redis.call('EXISTS', target_key(provider)) == 1 then
    act(provider)
  end
end

-- decrease(name, counter, by): a counter that was lost does not fall below 0.
local function decrease(name, counter, by)
  if redis.call('HINCRBY', target_key(name), counter, -by) < 0 then
    redis.call('HDEL', target_key(name), counter)
  end
end

local function cancel_reservation(target_name, tokens)
  each_part(target_name, function(name)
    decrease(name, 'reserved', 1)
    if is_number(tokens) and tokens ~= '0' then
      decrease(name, 'reserved_tokens', tokens)
    end
  end)
end

-- note_answer(name, succeeded, started): the provider has answered. A breaker that was open closes. After a
-- call that shows nothing, such as a cancelled one, the next call tries the target. A call that started before the first
-- failure shows nothing of the time since.
local function note_answer(name, succeeded, started)
  local target = read_record(target_key(name), 'failures', 'window_start_ms', 'breaker_ms', 'breaker_since_ms')
  local since = tonumber(target.breaker_since_ms or target.window_start_ms or nil) or 0
  if succeeded and started < since then
    return
  end
  if succeeded then
    if target.failures then
      redis.call('HDEL', target_key(name), 'failures')
    end
    if target.window_start_ms then
      redis.call('HINCRBY', target_key(name), 'window_successes', 1)
    end
    if target.breaker_ms then
      redis.call('HDEL', target_key(name), 'breaker_ms', 'breaker_since_ms', 'probe_until_ms', 'closed_until_ms',
        'closed_reason')
      reopen_pools('(0')
    end
  elseif target.breaker_ms and started >= (tonumber(target.breaker_since_ms) or 0) then
    redis.call('HDEL', target_key(name), 'probe_until_ms')
  end
end

-- token_count(name): how the target or provider counts tokens.
local function token_count(name)
  local counts = namespace .. 'token-counts'
  return redis.call('HGET', counts, name) or redis.call('HGET', counts, provider_of(name))
end

local function learn_used_share(name, used, most)
  if is_number(most) and tonumber(most) > 0 then
    local share = tonumber(redis.call('HGET', target_key(name), 'used_share') or nil) or 1
    redis.call('HSET', target_key(name), 'used_share', share * 0.95 + math.min(used / most, 1) * 0.05)
  end
end

-- end_call(call, used, succeeded, now): a call has ended. Where the provider judges what was used, the difference to the
-- estimate is given back to the second in which the call started.
-- call: the fields target, tokens, most_tokens and started_at_ms of its record. used: nil if unknown.
local function end_call(call, used, succeeded, now)
  local started, tokens = tonumber(call.started_at_ms or nil) or 0, call.tokens
  each_part(call.target, function(name)
    decrease(name, 'running', 1)
    local second, estimate = math.floor(started / 1000), is_number(tokens) and tonumber(tokens) or 0
    local age = math.floor(now / 1000) - second
    if used and estimate > 0 and age >= 0 and age <= 61 and token_count(name) == 'used' then
      ring_add(namespace .. 'tokens:' .. name, second, used - estimate)
      learn_used_share(name, used, call.most_tokens)
      reopen_pools('(0') -- these tokens may be what others wait for
    end
    note_answer(name, succeeded, started)
  end)
end

local UNPACED_STARTS = 720 -- after so many calls without a refusal, a target needs no pace: see `pace`

-- routes_of(pool): the names of its targets in order of preference, one a line.
local function routes_of(pool)
  return redis.call('HGET', namespace .. 'routes', pool) or 'main/' .. pool
end

-- unlimited_target(pool): the name of the pool's target if no call waits there; '' for jobs that call no provider; nil if
-- a limit may apply, so that `targets` must choose. This is the short way of most jobs.
local function unlimited_target(pool)
  if not pool or pool == '-' then
    return ''
  end
  local name = routes_of(pool):match('^[^\n]*')
  local starts, requests, tokens, concurrency, closed, breaker, gap = unpack(redis.call('HMGET', target_key(name), 'starts',
    'requests_per_minute', 'tokens_per_minute', 'concurrency', 'closed_until_ms', 'breaker_ms', 'gap_ms'))
  local may_wait = requests or tokens or concurrency or closed or breaker or gap
  if not may_wait and (tonumber(starts or nil) or 0) >= UNPACED_STARTS
    and redis.call('EXISTS', target_key(provider_of(name))) == 0 then
    return name
  end
end

-- count_start(name, now): a call to a target, or to a provider with limits, starts.
local function count_start(name, now)
  local key = target_key(name)
  redis.call('HINCRBY', key, 'running', 1)
  local is_first = ring_add(namespace .. 'requests:' .. name, math.floor(now / 1000), 1)
  if is_first then
    redis.call('EXPIRE', key, 86400)
    redis.call('SADD', namespace .. 'targets', name)
  end
end

-- targets(): the functions that choose a target and count the start of a call. They are made only where a call may start,
-- see lines.
local function targets()
  local NEVER, DEFAULT_OUTPUT_TOKENS, USED_SHARE_MARGIN = math.huge, 1000, 1.1
  local PROBE_MS = 60000 -- then another call tries the target
  local TARGET_FIELDS = {'requests_per_minute', 'tokens_per_minute', 'concurrency', 'closed_until_ms', 'closed_for_ms',
    'running', 'reserved', 'reserved_tokens', 'next_ms', 'starts', 'probe_until_ms', 'breaker_ms', 'gap_ms',
    'gap_since_ms', 'used_share', 'learned_ms'}

  -- pace(target): the least ms between two starts, how many may start at once, and whether the target is new.
  -- A limit of N a minute is paced evenly: some providers refuse 60 requests in one second though 60 a minute are allowed.
  -- A new target, of which nothing is known, is approached in steps: the gap halves every 64 starts, which delays the
  -- first thousand by 2.2 s in all. So a limit shows itself by a few refusals and not by hundreds.
  -- What was learned from refusals is tried again: a pace rises by 5 % in 10 s, a limit after 5 minutes by 10 % a minute.
  local FIRST_GAP_MS, FIRST_BURST, STARTS_PER_HALVING = 24, 8, 64
  local function pace(target)
    local limit, gap, burst = target.requests_per_minute, target.gap_ms or 0, 1
    if limit then
      burst = limit < 40 and 1 or math.max(2, math.floor(limit * 0.03))
      return math.max(gap, 61000 / (limit - burst + 1)), burst
    end
    if gap > 0 then
      return gap, burst
    end
    if target.starts < UNPACED_STARTS then
      return FIRST_GAP_MS * 2 ^ -(target.starts / STARTS_PER_HALVING), FIRST_BURST, true
    end
    return 0, FIRST_BURST
  end

  local function forget_slowly(target, now)
    if target.gap_ms then
      local gap = target.gap_ms / 1.05 ^ math.max((now - (target.gap_since_ms or now)) / 10000, 0)
      target.gap_ms = gap > 1 and gap or nil
    end
    if target.learned_ms and target.requests_per_minute then
      local minutes = math.max((now - target.learned_ms) / 60000 - 5, 0)
      target.requests_per_minute = math.floor(target.requests_per_minute * 1.1 ^ minutes)
    end
  end

  -- read_target(name): its fields as numbers, 0 where a counter is missing. `closed_reason` is text.
  -- `gap`, `burst`, `is_new`: its pace. `is_limited`: a call may have to wait.
  local function read_target(name)
    local values, target = redis.call('HMGET', target_key(name), 'closed_reason', unpack(TARGET_FIELDS)), {name = name}
    for i, field in ipairs(TARGET_FIELDS) do
      target[field] = tonumber(values[i + 1] or nil)
    end
    target.closed_reason = values[1]
    forget_slowly(target, now_ms())
    for _, counter in ipairs({'running', 'reserved', 'reserved_tokens', 'starts', 'next_ms', 'closed_until_ms'}) do
      target[counter] = math.max(target[counter] or 0, 0)
    end
    target.gap, target.burst, target.is_new = pace(target)
    target.is_limited = target.gap > 0
      or (target.tokens_per_minute or target.concurrency or target.breaker_ms) ~= nil
    return target
  end

  -- read_provider(target_name): the same for the target's provider; nothing if that has no limits of its own.
  local function read_provider(target_name)
    local provider = provider_of(target_name)
    return redis.call('EXISTS', target_key(provider)) == 1 and read_target(provider) or nil
  end

  -- as_request(record): what choose_target needs to know of a job's request.
  local function as_request(record)
    local input, output = record.input_tokens, record.max_output_tokens
    return {pool = record.pool, input_tokens = is_number(input) and tonumber(input) or nil,
      max_output_tokens = is_number(output) and tonumber(output) or nil}
  end

  local function read_request(job)
    return as_request(read_record(job, 'pool', 'input_tokens', 'max_output_tokens'))
  end

  local function most_tokens(request)
    return (request.input_tokens or 0) + (request.max_output_tokens or DEFAULT_OUTPUT_TOKENS)
  end

  -- tokens_of(target, request): the tokens that a call may use there. Where the provider judges what was used, earlier
  -- calls show how much of that it will be.
  local function tokens_of(target, request)
    if not target or not target.tokens_per_minute then
      return 0
    end
    return math.ceil(most_tokens(request) * math.min((target.used_share or 1) * USED_SHARE_MARGIN, 1))
  end

  -- next_start(target, now): the ms from which the pace counts. Later than any pace sets it: the clock was set back, or the
  -- pace was raised.
  local function next_start(target, now)
    local is_possible = target.next_ms <= now + target.gap * (target.burst + 1)
    return is_possible and math.max(target.next_ms, now) or now
  end

  -- opens_at(target, tokens, now): 0 if a call may start now, else the ms at which it may, and why not. NEVER: when a
  -- running call ends. A call that is larger than the whole limit counts as open: its claim fails it.
  local function opens_at(target, tokens, now)
    local is_closed = target.closed_until_ms > now and target.closed_until_ms - now <= (target.closed_for_ms or math.huge)
    if is_closed then -- longer than it was closed for: the clock was set back
      return target.closed_until_ms, target.closed_reason
    end
    local probe_until_ms = target.breaker_ms and target.probe_until_ms or 0
    if probe_until_ms > now and probe_until_ms <= now + PROBE_MS then
      return probe_until_ms, 'provider_down'
    end
    if target.breaker_ms and target.reserved > 0 then
      return now + 1000, 'provider_down' -- the job that will try it is published
    end
    if target.concurrency and target.running + target.reserved >= target.concurrency then
      return NEVER, 'provider_rate_limit'
    end
    -- Only calls that run together can meet many refusals. A caller that waits for each answer meets one.
    local is_alone = target.is_new and target.running + target.reserved == 0
    if target.gap > 0 and not is_alone then
      local at = next_start(target, now) + target.gap * (target.reserved + 1 - target.burst)
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

  -- targets_of(request): the targets of its pool in order of preference; none for jobs that call no provider.
  local function targets_of(request)
    local pool = request.pool or '-'
    if pool == '-' then
      return {}
    end
    local names = {}
    for name in routes_of(pool):gmatch('[^\n]+') do
      names[#names + 1] = name
    end
    return names
  end

  -- lend(part, lent): where a call is counted that is not under way, another one may start in its place.
  local function lend(part, lent)
    if part and lent and lent ~= '' and (part.name == lent or part.name == provider_of(lent)) then
      part.running = math.max(part.running - 1, 0)
    end
  end

  -- choose_target(request, now): the first target that is open, as {target, provider, tokens, most_tokens}; nothing when
  -- none is, then the ms at which one may be, and why. An empty choice is for jobs that call no provider.
  local function choose_target(request, now)
    local names, least, least_reason = targets_of(request), NEVER, nil
    for _, name in ipairs(names) do
      local target, provider = read_target(name), read_provider(name)
      lend(target, request.lent)
      lend(provider, request.lent)
      local tokens = math.max(tokens_of(target, request), tokens_of(provider, request))
      local at, reason = opens_at(target, tokens, now)
      if provider then
        local provider_at, provider_reason = opens_at(provider, tokens, now)
        if provider_at > at then
          at, reason = provider_at, provider_reason
        end
      end
      if at == 0 then
        return {target = target, provider = provider, tokens = tokens, most_tokens = most_tokens(request)}
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
    return {choice.target, choice.provider}
  end

  local function any_part(choice, holds)
    for _, part in ipairs(parts_of(choice)) do
      if holds(part) then
        return true
      end
    end
    return false
  end

  -- is_larger_than_limit(choice): whether no minute has enough tokens for the job.
  local function is_larger_than_limit(choice)
    return any_part(choice, function(part)
      return part.tokens_per_minute and choice.tokens > part.tokens_per_minute
    end)
  end

  -- is_limited(choice): whether a call there may have to wait.
  local function is_limited(choice)
    return any_part(choice, function(part)
      return part.is_limited
    end)
  end

  -- is_probe(choice): whether a call there shows if the provider is back.
  local function is_probe(choice)
    return any_part(choice, function(part)
      return part.breaker_ms
    end)
  end

  -- reserve(choice): for a published job whose call has not started; the claim takes it.
  local function reserve(choice)
    for _, part in ipairs(parts_of(choice)) do
      redis.call('HINCRBY', target_key(part.name), 'reserved', 1)
      if choice.tokens > 0 then
        redis.call('HINCRBY', target_key(part.name), 'reserved_tokens', choice.tokens)
      end
      redis.call('EXPIRE', target_key(part.name), 86400)
    end
  end

  -- take(choice, now): counts a call that starts now.
  local function take(choice, now)
    local second = math.floor(now / 1000)
    for _, part in ipairs(parts_of(choice)) do
      local key = target_key(part.name)
      count_start(part.name, now)
      if part.gap > 0 then
        local next_ms = math.min(next_start(part, now), now + part.gap * (part.burst - 1)) + part.gap -- a lone call is early
        redis.call('HSET', key, 'next_ms', string.format('%.3f', next_ms))
        redis.call('HINCRBY', key, 'starts', 1)
      end
      if part.tokens_per_minute and choice.tokens <= part.tokens_per_minute then
        ring_add(namespace .. 'tokens:' .. part.name, second, choice.tokens)
      end
      if part.breaker_ms then
        redis.call('HSET', key, 'probe_until_ms', now + PROBE_MS)
      end
    end
  end

  return {read = read_target, request_of = read_request, as_request = as_request, names = targets_of,
    choose = choose_target, is_limited = is_limited, is_larger_than_limit = is_larger_than_limit, is_probe = is_probe,
    reserve = reserve, take = take}
end
