-- republish: puts a queued job back into its line when its next attempt is due, and gives it a new message, of high
-- priority, when its message was lost.
-- include: clock record version fair_clock rate_ring lines governor publish dispatch
-- KEYS
--   job               the record
--   waiting
--   broker_list_high  Celery's messages of high priority
-- ARGV
--   id
--   message_high      template of the Celery message of high priority; '' when another broker publishes
--   lost_after_ms     age from which a message counts as lost
-- returns  republished
--          queued: the job is in its line again, or has its message from there
--          early: the attempt is not due, or the message is young
--          gone: the job is not queued any more
--          unknown: this version does not know the job's state; its time in `waiting` is put off
-- Safe to send again: after a republish the job is not due, and its message is young.
local record = read_record(job, 'state', 'retry_at_ms', 'published_at_ms', 'created_at_ms', 'pool')
local known_states = {queued = true, in_progress = true, completed = true, incomplete = true, failed = true,
  cancelled = true}
if record.state and not known_states[record.state] then
  redis.call('ZADD', waiting, 'XX', now_ms() + 60000, id)
  return 'unknown'
end
if record.state ~= 'queued' then
  for _, index in ipairs({waiting, messages_high, messages}) do
    redis.call('ZREM', index, id)
  end
  return 'gone'
end
local now, has_message = now_ms(), is_published(id)
local published_at = tonumber(record.published_at_ms) or tonumber(record.created_at_ms) or 0
local due = tonumber(record.retry_at_ms) or has_message and published_at + lost_after_ms or now
if due > now then
  return 'early'
end

redis.call('ZREM', waiting, id)
if not has_message then
  redis.call('HDEL', job, 'retry_at_ms')
  next_version(job)
  queue_up(id, job, record.pool)
  return 'queued'
end
redis.call('HSET', job, 'published_at_ms', now)
next_version(job)
redis.call('ZREM', messages, id)
publish(redis.call('INCR', seq), messages_high, broker_list_high, id, message_high)
return 'republished'
