-- republish: gives a queued job a new message of high priority, when its next attempt is due or its message was lost.
-- include: clock record publish version
-- KEYS
--   job               the record
--   waiting
--   seq
--   messages_high
--   broker_list_high  Celery's messages of high priority
--   messages
-- ARGV
--   id
--   message           template of the Celery message; '' when another broker publishes
--   lost_after_ms     age from which a message counts as lost
-- returns  republished
--          early: the attempt is not due, or the message is young
--          gone: the job is not queued any more
--          unknown: this version does not know the job's state; its time in `waiting` is put off
-- Safe to send again: after a republish the job is not due, and its message is young.
local record = read_record(job, 'state', 'retry_at_ms', 'published_at_ms', 'created_at_ms')
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
local now = now_ms()
local published_at = tonumber(record.published_at_ms) or tonumber(record.created_at_ms) or 0
local due = tonumber(record.retry_at_ms) or published_at + lost_after_ms
if due > now then
  return 'early'
end

redis.call('HDEL', job, 'retry_at_ms')
redis.call('HSET', job, 'published_at_ms', now)
next_version(job)
redis.call('ZREM', waiting, id)
redis.call('ZREM', messages, id)
publish(seq, messages_high, broker_list_high, id, message)
return 'republished'
