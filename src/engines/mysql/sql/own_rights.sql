SELECT Db, Table_name, FIND_IN_SET('Select', Table_priv) > 0 OR FIND_IN_SET('Select', Column_priv) > 0
FROM mysql.tables_priv
WHERE User = ? AND Host = ?
