-- append: more events to the stream of the attempt that holds the lease.
-- KEYS  1 job  2 events
-- ARGV  1 token  2 length of the log before these events  3 output events of this attempt so far  4 channel
--       5... events
-- answers  {appended, length of the log}  {fenced}: nothing was written. So too when Redis has lost, with a host's last
--          writes, events that this attempt wrote: a log with a gap in it would never equal the answer
-- Safe to send again: what the log holds already is left out.
local record = redis.call('HMGET', KEYS[1], 'state', 'token')
if record[1] ~= 'in_progress' or record[2] ~= ARGV[1] then
  return {'fenced'}
end
local length = redis.call('LLEN', KEYS[2])
local written = length - ARGV[2]
if written < 0 then
  return {'fenced'}
end
if written < #ARGV - 4 then
  length = redis.call('RPUSH', KEYS[2], unpack(ARGV, 5 + written))
  redis.call('HSET', KEYS[1], 'output_events', ARGV[3])
  redis.call('HINCRBY', KEYS[1], 'version', 1)
  redis.call('PUBLISH', ARGV[4], length)
end
return {'appended', length}
