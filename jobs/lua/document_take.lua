-- document_take: a job begins to ingest a document; a task that was retried by hand takes it over.
-- KEYS  1 document  2 record of the job
-- ARGV  1 job
-- answers  taken | gone: the document was deleted
-- Safe to send again. A document that is ready stays so: what is written anew is the same.
local state = redis.call('HGET', KEYS[1], 'state')
if not state or state == 'deleting' then
  return 'gone'
end
if state ~= 'ready' then
  redis.call('HSET', KEYS[1], 'state', 'ingesting', 'pages_done', 0)
  redis.call('HDEL', KEYS[1], 'error_code', 'error_message')
end
redis.call('HSET', KEYS[1], 'job_id', ARGV[1])
if redis.call('HDEL', KEYS[2], 'progress') == 1 then -- of the attempt before
  redis.call('HINCRBY', KEYS[2], 'version', 1)
end
return 'taken'
