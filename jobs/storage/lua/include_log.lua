-- unwritten(log, expected, lines): the lines that the log does not contain yet. `expected` is the length that the log
-- had before the first of them; '' when the caller does not know it, and then all lines are new.
-- Returns nil and the length of the log when it is shorter than that: Redis has lost events in a failover or in a crash
-- of its host, and a log with a gap would not match the answer. The caller sends them again.
local function unwritten(log, expected, lines)
  if expected == '' then
    return lines
  end
  local length = redis.call('LLEN', log)
  local written = length - expected
  if written < 0 then
    return nil, length
  end
  return {unpack(lines, 1 + written)}
end

-- write_log(log, channel, kind, lines): appends lines to a job's log and publishes them to its followers.
-- The message: the kind ('more', or 'final' for the last time), the sequence number of the first line, the lines.
-- Returns the new length of the log.
local function write_log(log, channel, kind, lines)
  local length = redis.call('RPUSH', log, unpack(lines))
  redis.call('PUBLISH', channel, kind .. ' ' .. length - #lines .. '\n' .. table.concat(lines, '\n'))
  return length
end
