SELECT User, Host, Db, Table_name, Grantor, CAST(Timestamp AS CHAR),
       FIND_IN_SET('Select', Table_priv) > 0, FIND_IN_SET('Grant', Table_priv) > 0,
       FIND_IN_SET('Select', Column_priv) > 0
FROM mysql.tables_priv
WHERE (Db, Table_name) IN (
