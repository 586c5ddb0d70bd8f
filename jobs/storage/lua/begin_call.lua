-- begin_call: a call that a running job makes besides its own, such as the embeddings of a document.
-- include: clock record rate_ring lines governor
-- KEYS
--   namespace   prefix of the keys of targets and pools
-- ARGV
--   pool
--   input_tokens
--   max_output_tokens
--   lent        the target where the job's own call is counted that is not under way; '' if it lends none
-- returns  {'open', target, tokens that are reserved, time of the start in ms}
--          {'closed', ms until a target may be open, reason}
-- Safe to send again: a call that is counted twice delays others a little, and the audit corrects the count.
local call = {pool = pool, input_tokens = tonumber(input_tokens), max_output_tokens = tonumber(max_output_tokens),
  lent = lent}
local governor = targets()
local choice, opens_at_ms, reason = governor.choose(call, now_ms())
if not choice then
  return {'closed', math.ceil(math.min(opens_at_ms - now_ms(), 1000)), reason}
end
governor.take(choice, now_ms())
if not choice.target then
  return {'open', '', 0, now_ms()}
end
redis.call('HINCRBY', namespace .. 'calls', choice.target.name .. ' ' .. now_ms(), 1)
return {'open', choice.target.name, choice.tokens, now_ms()}
