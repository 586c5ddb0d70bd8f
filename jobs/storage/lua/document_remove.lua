-- document_remove: no question finds the document any more, and its content may be uploaded anew.
-- include: clock
-- KEYS  1 document  2 document of its content  3 tombstones
-- ARGV  1 id  2 the job that was to remove what is left and has ended in vain ('' for none)  3 the job that is to do so
--       4 after how long to look whether one has, ms
-- answers  the job that does: the new one, or that of somebody who was faster; '' when the document is gone
-- Safe to send again. The job that ingests it is refused from now on: the document is not its own any more.
local record = redis.call('HMGET', KEYS[1], 'state', 'job_id')
if not record[1] then
  return ''
end
if record[1] == 'deleting' and record[2] ~= ARGV[2] then
  return record[2]
end
redis.call('HSET', KEYS[1], 'state', 'deleting', 'job_id', ARGV[3])
redis.call('ZADD', KEYS[3], now_ms() + ARGV[4], ARGV[1])
if redis.call('GET', KEYS[2]) == ARGV[1] then
  redis.call('DEL', KEYS[2])
end
return ARGV[3]
