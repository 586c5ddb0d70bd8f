-- document_start: starts an attempt of the owner job to ingest the document.
-- KEYS
--   document  the record
--   job       the job's record
-- ARGV
--   job_id
-- returns  started
--          ready: there is nothing to do
--          not_owner: another job owns the document
--          gone: the document was deleted
-- Safe to send again.
local state, owner_job = unpack(redis.call('HMGET', document, 'state', 'job_id'))
if not state or state == 'deleting' then
  return 'gone'
end
if state == 'ready' then
  return 'ready'
end
if owner_job ~= job_id then
  return 'not_owner'
end
redis.call('HSET', document, 'state', 'ingesting', 'pages_done', 0)
redis.call('HDEL', document, 'error_code', 'error_message')
local had_progress = redis.call('HDEL', job, 'progress') == 1 -- of the attempt before
if had_progress then
  redis.call('HINCRBY', job, 'version', 1)
end
return 'started'
