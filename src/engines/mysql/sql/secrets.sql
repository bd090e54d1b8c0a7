SELECT authentication_string FROM mysql.user LIMIT 0
