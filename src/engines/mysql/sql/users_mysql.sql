SELECT User, Host, Select_priv = 'Y', Grant_priv = 'Y', Super_priv = 'Y', account_locked = 'Y' FROM mysql.user
