-- append: more events to the stream of the attempt that holds the lease.
-- include: log
-- KEYS  1 job  2 events
-- ARGV  1 token  2 length of the log before these events  3 usage of this attempt so far  4 channel  5... events
-- answers  {appended, length of the log}  {fenced}: nothing was written; so too when the log has lost events
-- Safe to send again: what the log holds already is left out.
local record = redis.call('HMGET', KEYS[1], 'state', 'token')
if record[1] ~= 'in_progress' or record[2] ~= ARGV[1] then
  return {'fenced'}
end
local events = unwritten(KEYS[2], ARGV[2], {unpack(ARGV, 5)})
if not events then
  return {'fenced'}
end
if #events == 0 then
  return {'appended', redis.call('LLEN', KEYS[2])}
end
redis.call('HSET', KEYS[1], 'usage', ARGV[3])
redis.call('HINCRBY', KEYS[1], 'version', 1)
return {'appended', write_log(KEYS[2], ARGV[4], 'more', events)}
