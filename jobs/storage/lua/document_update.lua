-- document_update: writes the owner job's updates to a document, and the job's own progress.
-- KEYS
--   document   the record
--   job        the job's record
-- ARGV
--   job_id
--   progress   the job's progress; '' to leave it unchanged
--   fields...  field, value, ... of the document's record
-- returns  updated
--          ready: the document was ready before and is unchanged
--          gone: the document was deleted, or another job owns it
-- Safe to send again. The record of a job that has ended is never changed.
local state, owner_job = unpack(redis.call('HMGET', document, 'state', 'job_id'))
if owner_job ~= job_id then
  return 'gone'
end
if state == 'ready' then
  return 'ready'
end
redis.call('HSET', document, unpack(fields))
if progress ~= '' and redis.call('HGET', job, 'state') == 'in_progress' then
  redis.call('HSET', job, 'progress', progress)
  redis.call('HINCRBY', job, 'version', 1)
end
return 'updated'
