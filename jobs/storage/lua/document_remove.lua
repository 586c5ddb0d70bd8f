-- document_remove: hides a document from search, and allows its content to be uploaded again.
-- include: clock
-- KEYS
--   document          the record
--   document_by_hash  the document with this content
--   tombstones
-- ARGV
--   id
--   ended_job         the removal job that has ended without removing the data; '' for none
--   new_job           the job that is to remove the data
--   recheck_ms        until cleanup checks whether the data has been removed
-- returns  the job that removes the data: the new one, or one that was assigned first; '' when the document is gone
-- Safe to send again. From now on the ingest job cannot write to the document, because it is no longer the owner.
local record_type = redis.call('TYPE', document).ok
if record_type == 'none' then
  return ''
end
if record_type ~= 'hash' then -- nobody can read it: what remains of the document is removed all the same
  redis.call('DEL', document)
end
local state, owner_job = unpack(redis.call('HMGET', document, 'state', 'job_id'))
if state == 'deleting' and owner_job ~= ended_job then
  return owner_job
end
redis.call('HSET', document, 'state', 'deleting', 'job_id', new_job, 'assigned_at_ms', now_ms())
redis.call('ZADD', tombstones, now_ms() + recheck_ms, id)
if redis.call('GET', document_by_hash) == id then
  redis.call('DEL', document_by_hash)
end
return new_job
