-- document_start: a job that has the document in its hands begins to ingest it.
-- KEYS  1 document  2 record of the job
-- ARGV  1 job
-- answers  started | ready: there is nothing to do  not_owner: it is another job's  gone: the document was deleted
-- Safe to send again.
local record = redis.call('HMGET', KEYS[1], 'state', 'job_id')
if not record[1] or record[1] == 'deleting' then
  return 'gone'
end
if record[1] == 'ready' then
  return 'ready'
end
if record[2] ~= ARGV[1] then
  return 'not_owner'
end
redis.call('HSET', KEYS[1], 'state', 'ingesting', 'pages_done', 0)
redis.call('HDEL', KEYS[1], 'error_code', 'error_message')
if redis.call('HDEL', KEYS[2], 'progress') == 1 then -- of the attempt before
  redis.call('HINCRBY', KEYS[2], 'version', 1)
end
return 'started'
