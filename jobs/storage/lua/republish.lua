-- republish: gives a queued job a new message of high priority, when its next attempt is due or its message was lost.
-- include: clock record publish
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
-- Safe to send again: after a republish the job is not due, and its message is young.
local record = read_record(job, 'state', 'retry_at_ms', 'published_at_ms', 'created_at_ms')
if record.state ~= 'queued' then
  for _, index in ipairs({waiting, messages_high, messages}) do
    redis.call('ZREM', index, id)
  end
  return 'gone'
end
local now = now_ms()
local due = record.retry_at_ms or (record.published_at_ms or record.created_at_ms) + lost_after_ms
if tonumber(due) > now then
  return 'early'
end

redis.call('HDEL', job, 'retry_at_ms')
redis.call('HSET', job, 'published_at_ms', now)
redis.call('HINCRBY', job, 'version', 1)
redis.call('ZREM', waiting, id)
redis.call('ZREM', messages, id)
publish(seq, messages_high, broker_list_high, id, message)
return 'republished'
