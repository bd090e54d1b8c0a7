SELECT User, Host, Select_priv = 'Y', Grant_priv = 'Y', Super_priv = 'Y', is_role = 'Y' FROM mysql.user
