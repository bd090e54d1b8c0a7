-- The cluster's identity: made by initdb, kept by standbys and base backups, changed by pg_upgrade.
SELECT system_identifier::text FROM pg_control_system()
