-- delete: removes a job that has ended, or what remains of one whose record has expired.
-- KEYS
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
--   idempotency?      its Idempotency-Key, if it had one
-- ARGV
--   id
-- returns  deleted
--          active: the job must be cancelled first
--          gone: there was no record
-- Safe to send again.
local state = redis.call('HGET', job, 'state')
if state == 'queued' or state == 'in_progress' then
  return 'active'
end
redis.call('DEL', job, request, log, attempts, result)
for _, index in ipairs({all_index, expiry, completed_index, incomplete_index, failed_index, cancelled_index}) do
  redis.call('ZREM', index, id)
end
local has_own_key = idempotency and (redis.call('GET', idempotency) or ''):find(id, 1, true)
if has_own_key then -- the key may belong to a later job by now
  redis.call('DEL', idempotency)
end
return state and 'deleted' or 'gone'
