-- Fair clocks: who is next among flows (lanes, pools, tenants, fair keys) that share starts by weight. This is start-time
-- fair queueing. Each start moves the virtual time of its flow on by 1 / weight, and the flow with the lowest is next.
-- A clock is a sorted set: flow -> virtual time of its next start, and '' -> the clock's own time, which is that of
-- the last start and never falls. A flow that is missing, or behind the clock, is at the clock's time: a flow that had
-- nothing to do gets no credit for it. A flow that left keeps its time until the clock has reached it.

local function fair_clocks()
  -- clock_time(clock, flow): the virtual time at which the flow may start next, and the clock's own time.
  local function clock_time(clock, flow)
    local own, time = unpack(redis.call('ZMSCORE', clock, '', flow))
    own, time = tonumber(own or 0), tonumber(time or 0)
    return math.max(own, time), own
  end

  -- charge(clock, flow, cost): counts a start.
  local function charge(clock, flow, cost)
    local start = clock_time(clock, flow)
    redis.call('ZADD', clock, start, '', start + cost, flow)
    redis.call('ZREMRANGEBYSCORE', clock, '-inf', string.format('(%.17g', start))
    redis.call('EXPIRE', clock, 86400)
  end

  -- first_flow(turn, clock): the flow of a turn that starts next, and its time; nothing if the turn is empty. A turn is a
  -- sorted set of the flows that wait somewhere. Its scores are brought up to date only here: they may be lower than the
  -- clock's, never higher. So they begin again with a clock that was lost, or has expired.
  local function first_flow(turn, clock)
    while true do
      local flow, score = unpack(redis.call('ZRANGE', turn, 0, 0, 'WITHSCORES'))
      if not flow then
        return
      end
      local time, own = clock_time(clock, flow)
      if tonumber(score) > time then
        redis.call('ZUNIONSTORE', turn, 1, turn, 'WEIGHTS', 0)
        score = 0
      end
      if time <= math.max(tonumber(score), own) then
        return flow, time
      end
      redis.call('ZADD', turn, time, flow)
    end
  end

  return {time = clock_time, charge = charge, first = first_flow}
end
