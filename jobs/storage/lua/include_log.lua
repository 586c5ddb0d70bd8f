-- unwritten(log, expected, lines): those of the lines that a log does not hold yet, where it had that length before them
-- ('': who asks does not know, and they are all new).
-- nil when it is shorter than that: with a host's last writes events were lost, and a log with a gap in it would never
-- equal the answer.
local function unwritten(log, expected, lines)
  if expected == '' then
    return lines
  end
  local written = redis.call('LLEN', log) - expected
  if written < 0 then
    return nil
  end
  return {unpack(lines, 1 + written)}
end

-- write_log(log, channel, kind, lines): append lines to a job's log and hand them to whoever follows it.
-- The message: the kind ('more', or 'final' for the last time), the sequence number of the first line, the lines.
-- Answers the new length of the log.
local function write_log(log, channel, kind, lines)
  local length = redis.call('RPUSH', log, unpack(lines))
  redis.call('PUBLISH', channel, kind .. ' ' .. length - #lines .. '\n' .. table.concat(lines, '\n'))
  return length
end
