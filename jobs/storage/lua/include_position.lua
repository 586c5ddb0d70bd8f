-- position(id, job): how many jobs start before a queued one, how long that may take, what it waits for and until when:
-- {position, estimated wait in ms, reason, ms}. -1 stands for a number that is unknown.
-- reason: 'slot', 'retry', or why the targets of its pool are closed.
-- Lines take turns. So at most as many jobs go first as wait in all, and at most one of each line for each place that
-- the job has in its own.
-- Needs record, lines and wait_estimate, and `messages` and `messages_high`.
-- A script that includes it takes these first:
-- KEYS
--   minute         the counts of the current minute
--   minute_before  the counts of the minute before
-- ARGV
--   elapsed_ms     since the current minute began

local function published_position(before)
  return {before, estimate_wait_ms(before, {minute, minute_before}, elapsed_ms), 'slot', -1}
end

-- line_position(id, place, published): the same for a job in a line. published: the number of published jobs.
local function line_position(id, place, published)
  local line = lines()
  local own = redis.call('ZRANK', line.key(place), id) or 0
  local waiting_in_pool = tonumber(redis.call('HGET', line.queued_key(place.lane), place.pool) or 1)
  local turns = redis.call('ZCARD', line.fair_keys_key(place)) * redis.call('ZCARD', line.tenants_key(place))
  local before = math.max(math.min((own + 1) * math.max(turns, 1), waiting_in_pool) - 1, 0) + published
  local opens = tonumber(redis.call('ZSCORE', pools_key(place.lane), place.pool) or 0)
  return {before, estimate_wait_ms(before, {minute, minute_before}, elapsed_ms), wait_of(place.pool, opens, now_ms())}
end

local function position(id, job)
  local high = redis.call('ZRANK', messages_high, id)
  local published = high or redis.call('ZRANK', messages, id)
  if published then
    return published_position(high or published + redis.call('ZCARD', messages_high))
  end
  local line = lines()
  local place = line.find(id, line.place_of(job))
  if not place then
    return {-1, -1, 'retry', tonumber(redis.call('HGET', job, 'retry_at_ms') or nil) or -1}
  end
  return line_position(id, place, redis.call('ZCARD', messages) + redis.call('ZCARD', messages_high))
end
