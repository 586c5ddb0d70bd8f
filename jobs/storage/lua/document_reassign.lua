-- document_reassign: makes a new job the owner of a document whose owner job has ended without making it ready.
-- include: clock
-- KEYS
--   document   the record
-- ARGV
--   ended_job
--   new_job
-- returns  the owner job: the new one, one that was assigned first, or the one that has made the document ready;
--          '' when the document is gone
-- Safe to send again.
local state, owner_job = unpack(redis.call('HMGET', document, 'state', 'job_id'))
if not state or state == 'deleting' then
  return ''
end
if owner_job ~= ended_job or state == 'ready' then
  return owner_job
end
redis.call('HSET', document, 'state', 'ingesting', 'job_id', new_job, 'pages_done', 0, 'assigned_at_ms', now_ms())
redis.call('HDEL', document, 'error_code', 'error_message')
return new_job
