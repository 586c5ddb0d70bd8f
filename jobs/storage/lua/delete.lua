-- delete: removes a job that has ended, or what remains of one whose record has expired or is lost.
-- A job in a state that this version does not know is removed too.
-- include: tenant_index
-- KEYS
--   namespace
--   job               the record
--   request
--   log               the event log
--   attempts
--   result
--   all_index
--   expiry
--   completed_index
--   incomplete_index
--   failed_index
--   cancelled_index
--   queued_index
--   in_progress_index
--   leases
--   waiting
--   deadlines
--   messages
--   messages_high
--   bytes             the size of the requests of all jobs that have not ended
--   idempotency?      its Idempotency-Key, if it had one
-- ARGV
--   id
--   tenant            in whose index the job is, if that is not known here any more
-- returns  deleted
--          active: the job must be cancelled first
--          gone: there was no record
-- Safe to send again.
local state = redis.pcall('HGET', job, 'state') -- an error if the record is no hash
if state == 'queued' or state == 'in_progress' then
  return 'active'
end
local had_record = redis.call('EXISTS', job) == 1
local was_active = redis.call('ZSCORE', queued_index, id) or redis.call('ZSCORE', in_progress_index, id)
if was_active then -- its record is lost or damaged
  local body = redis.pcall('GET', request)
  local size = type(body) == 'string' and #body or 0
  redis.pcall('HINCRBY', bytes, 'requests', -size)
  add_bytes(redis.call('HGET', namespace .. 'tenant-of', id), 'requests', -size)
end
leave_index(id, tenant)
redis.call('DEL', job, request, log, attempts, result)
for _, index in ipairs({all_index, expiry, completed_index, incomplete_index, failed_index, cancelled_index,
  queued_index, in_progress_index, leases, waiting, deadlines, messages, messages_high}) do
  redis.call('ZREM', index, id)
end
local has_own_key = idempotency and (redis.call('GET', idempotency) or ''):find(id, 1, true)
if has_own_key then -- the key may belong to a later job by now
  redis.call('DEL', idempotency)
end
return had_record and 'deleted' or 'gone'
