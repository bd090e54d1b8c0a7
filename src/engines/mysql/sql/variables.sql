SHOW GLOBAL VARIABLES WHERE Variable_name IN
  ('server_uuid', 'hostname', 'port', 'datadir', 'read_only', 'super_read_only', 'lower_case_table_names',
   'partial_revokes', 'mandatory_roles')
