-- rights: which commands the user of this connection may not run. Runs none of them.
-- ARGV
--   commands...  each with all of its arguments, separated by blanks: Valkey 9.1 crashes if an argument is missing
-- returns  the numbers of the commands that are not allowed, from 1. A command that the server lacks is not among them
-- Safe to send again.
local denied = {}
for number, line in ipairs(redis.acl_check_cmd and commands or {}) do
  local words = {}
  for word in line:gmatch('%S+') do
    words[#words + 1] = word
  end
  local is_known, is_allowed = pcall(redis.acl_check_cmd, unpack(words))
  if is_known and not is_allowed then
    denied[#denied + 1] = number
  end
end
return denied
