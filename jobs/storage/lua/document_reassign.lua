-- document_reassign: a document whose job has ended in vain comes into the hands of another that is to ingest it.
-- KEYS  1 document
-- ARGV  1 the job that has ended  2 the new one
-- answers  the job whose it is: the new one, that of somebody who was faster, or that which has made it ready;
--          '' when the document is gone
-- Safe to send again.
local record = redis.call('HMGET', KEYS[1], 'state', 'job_id')
if not record[1] or record[1] == 'deleting' then
  return ''
end
if record[2] ~= ARGV[1] or record[1] == 'ready' then
  return record[2]
end
redis.call('HSET', KEYS[1], 'state', 'ingesting', 'job_id', ARGV[2], 'pages_done', 0)
redis.call('HDEL', KEYS[1], 'error_code', 'error_message')
return ARGV[2]
