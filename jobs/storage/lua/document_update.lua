-- document_update: what the job that ingests a document says of it, and of how far itself has come.
-- KEYS  1 document  2 record of the job
-- ARGV  1 job  2 the job's progress ('' to leave it)  3... field, value of the document's record
-- answers  updated | ready: it was so before and stays as it is  gone: deleted, or another job's by now
-- Safe to send again. The record of a job that has ended stays as it is.
local record = redis.call('HMGET', KEYS[1], 'state', 'job_id')
if record[2] ~= ARGV[1] then
  return 'gone'
end
if record[1] == 'ready' then
  return 'ready'
end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
if ARGV[2] ~= '' and redis.call('HGET', KEYS[2], 'state') == 'in_progress' then
  redis.call('HSET', KEYS[2], 'progress', ARGV[2])
  redis.call('HINCRBY', KEYS[2], 'version', 1)
end
return 'updated'
