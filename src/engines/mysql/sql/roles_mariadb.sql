SELECT Role, '', User, Host FROM mysql.roles_mapping
