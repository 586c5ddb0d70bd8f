-- document_announce: an upload is about to keep a file under a name that no record leads to yet.
-- include: clock
-- KEYS  1 leftovers
-- ARGV  1 document  2 how long the upload may take to write its record, ms
-- answers  announced
-- Safe to send again.
redis.call('ZADD', KEYS[1], now_ms() + ARGV[2], ARGV[1])
return 'announced'
