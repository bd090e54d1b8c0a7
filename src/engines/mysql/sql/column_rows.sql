SELECT User, Host, Db, Table_name, Column_name, CAST(Timestamp AS CHAR)
FROM mysql.columns_priv
WHERE FIND_IN_SET('Select', Column_priv) > 0 AND (Db, Table_name) IN (
