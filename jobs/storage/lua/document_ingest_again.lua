-- document_ingest_again: makes a new job the owner of a document that is ready or has failed, to ingest its stored file.
-- include: clock
-- KEYS
--   document   the record
-- ARGV
--   new_job
-- returns  the owner job: the new one, or the one that still ingests the document; '' when the document is gone
-- Safe to send again: the new job is then the owner already.
local state, owner_job = unpack(redis.call('HMGET', document, 'state', 'job_id'))
if not state or state == 'deleting' then
  return ''
end
if state == 'ingesting' then
  return owner_job
end
redis.call('HSET', document, 'state', 'ingesting', 'job_id', new_job, 'pages_done', 0, 'assigned_at_ms', now_ms())
redis.call('HDEL', document, 'error_code', 'error_message')
return new_job
