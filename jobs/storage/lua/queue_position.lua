-- queue_position: where a queued job waits, and for what.
-- include: clock record lines wait_estimate position
-- KEYS
--   job            the record
--   messages
--   messages_high
--   namespace      prefix of the keys of lines and pools
-- ARGV
--   id
-- returns  what position returns
--          nothing: the job is not queued
-- Safe to send again: it only reads.
if redis.pcall('HGET', job, 'state') ~= 'queued' then -- a record of a wrong type is not queued either
  return false
end
return position(id, job)
