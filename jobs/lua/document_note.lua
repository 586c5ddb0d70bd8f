-- document_note: what the job that ingests a document says of it.
-- KEYS  1 document
-- ARGV  1 job  2... field, value of the record
-- answers  noted | gone: deleted, or another job's by now; nothing was written
-- Safe to send again.
if redis.call('HGET', KEYS[1], 'job_id') ~= ARGV[1] then
  return 'gone'
end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
return 'noted'
