-- Goes on from live_targets.sql.
SELECT target FROM found WHERE target IS NOT NULL
