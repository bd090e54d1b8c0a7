SELECT User, Host, Db, Select_priv = 'Y', Grant_priv = 'Y' FROM mysql.db
