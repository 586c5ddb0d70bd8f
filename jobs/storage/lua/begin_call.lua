-- begin_call: a call that a running job makes besides its own, such as the embeddings of a document.
-- include: clock record rate_ring lines governor
-- KEYS
--   namespace   prefix of the keys of targets and pools
-- ARGV
--   pool
--   input_tokens
-- returns  {'open', target, tokens that are reserved, time of the start in ms}
--          {'closed', ms until a target may be open, reason}
-- Not safe to send again: a call that is counted twice delays others, and the audit corrects the count.
local choice, opens_at_ms, reason = choose_target(pool, {input_tokens = tonumber(input_tokens), max_output_tokens = 0}, now_ms())
if not choice then
  return {'closed', math.ceil(math.min(opens_at_ms - now_ms(), 1000)), reason}
end
take(choice, now_ms())
return {'open', choice.target and choice.target.name or '', choice.tokens, now_ms()}
