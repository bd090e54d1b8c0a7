SELECT User, Host FROM mysql.user WHERE Process_priv = 'Y'
