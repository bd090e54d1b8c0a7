SELECT Proxied_user, Proxied_host, User, Host FROM mysql.proxies_priv
