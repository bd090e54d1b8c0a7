SET SESSION
  sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION',
  autocommit = 1,
  time_zone = '+00:00',
  sql_select_limit = 18446744073709551615,
  lock_wait_timeout = ?,
  innodb_lock_wait_timeout = ?,
  max_execution_time = ?
