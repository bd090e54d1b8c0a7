# Throwaway servers for the demo: sourced by demo/run. Loopback only; they end with the demo, or by its `stop` script.

superuser_password=throwaway-$RANDOM$RANDOM

# Runs a program as the user that runs the servers: Postgres refuses to run as root.
as_servers_user() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid jitservers --regid jitservers --clear-groups -- "$@"
    else
        "$@"
    fi
}

# A folder that only the servers' user may enter.
servers_folder() {
    mkdir -p "$1"
    [ "$(id -u)" != 0 ] || chown jitservers: "$1"
    chmod 700 "$1"
}

# A TCP port of the loopback interface that nobody listens on, below those that the kernel hands out.
free_port() {
    local port
    while :; do
        port=$((15000 + RANDOM % 17000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            printf '%s' "$port"
            return
        fi
    done
}

# Starts a server that the kernel kills when this script dies, unless it is to stay (KEEP=1). Sets `started`.
launch() {
    local log=$1 command=()
    shift
    if [ -n "$keep" ]; then command=(setsid); else command=(setpriv --pdeathsig KILL --); fi
    if [ "$(id -u)" = 0 ]; then
        command=(setpriv --reuid jitservers --regid jitservers --clear-groups -- "${command[@]}")
    fi
    # no function in the background: that would be a shell between us and the server
    "${command[@]}" "$@" </dev/null >>"$log" 2>&1 &
    started=$!
}

# Waits until a command succeeds; says the log's end when the server does not come up.
await() {
    local name=$1 pid=$2 log=$3
    shift 3
    for _ in $(seq 600); do
        if "$@" >/dev/null 2>&1; then return; fi
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    tail -n 20 "$log" >&2
    fail "$name did not start; the end of its log is above"
}

start_postgres() {
    local programs folder=$servers/postgres password
    programs=$(dirname "$(printf '%s\n' /usr/lib/postgresql/*/bin/postgres | sort -V | tail -n 1)")
    postgres_port=$(free_port)
    servers_folder "$folder"
    password=$folder/password
    printf '%s' "$superuser_password" >"$password"
    [ "$(id -u)" != 0 ] || chown jitservers: "$password"
    as_servers_user "$programs/initdb" -D "$folder/data" --username=postgres --auth=scram-sha-256 \
        --pwfile="$password" --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$folder/log" 2>&1 ||
        fail "initdb failed: $(tail -n 3 "$folder/log")"
    rm "$password"
    launch "$folder/log" "$programs/postgres" -D "$folder/data" -c listen_addresses=127.0.0.1 \
        -c "port=$postgres_port" -c unix_socket_directories=
    postgres_pid=$started
    await Postgres "$started" "$folder/log" \
        env PGPASSWORD="$superuser_password" psql -qX -h 127.0.0.1 -p "$postgres_port" -U postgres -c 'SELECT 1'
}

# Runs SQL from standard input as Postgres's superuser.
postgres_sql() {
    PGPASSWORD=$superuser_password psql -qX -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$postgres_port" -U postgres "$@"
}

# The MySQL that setup unpacked. Behind the link: the servers' user may not enter the clone itself, in /root for one.
unpacked_mysqld() {
    printf '%s/mysql/bin/mysqld' "$(readlink -f "$target/servers")"
}

# Makes the data directory of MySQL or MariaDB ($1); takes seconds, so it runs beside the start of Postgres.
make_mysql() {
    local folder=$servers/$1
    servers_folder "$folder"
    if [ "$1" = mysql ]; then
        as_servers_user "$(unpacked_mysqld)" --initialize-insecure --datadir="$folder/data" \
            >"$folder/log" 2>&1
    else
        as_servers_user mariadb-install-db --no-defaults --datadir="$folder/data" --skip-test-db \
            --auth-root-authentication-method=normal >"$folder/log" 2>&1
    fi
}

# Starts MySQL or MariaDB ($1), whose data directory is made.
start_mysql() {
    local folder=$servers/$1 program=()
    mysql_port=$(free_port)
    if [ "$1" = mysql ]; then
        program=("$(unpacked_mysqld)")
    else
        program=("$(PATH=$PATH:/usr/sbin command -v mariadbd)" --no-defaults)
    fi
    launch "$folder/log" "${program[@]}" --datadir="$folder/data" --port="$mysql_port" \
        --bind-address=127.0.0.1 --socket="$folder/s" --pid-file="$folder/pid"
    mysql_pid=$started
    await "$1" "$started" "$folder/log" \
        mariadb --no-defaults -h 127.0.0.1 -P "$mysql_port" -u root -e 'SELECT 1'
    mariadb --no-defaults -h 127.0.0.1 -P "$mysql_port" -u root -e \
        "ALTER USER root@localhost IDENTIFIED BY '$superuser_password'"
}

# Runs SQL from standard input as root of MySQL or MariaDB.
mysql_sql() {
    MYSQL_PWD=$superuser_password mariadb --no-defaults --default-character-set=utf8mb4 \
        -h 127.0.0.1 -P "$mysql_port" -u root "$@"
}

# Ends them, and waits until they are gone. Postgres gets QUIT, its immediate shutdown: killed, its children would
# outlive it for a moment, and its shared memory for good.
stop_servers() {
    [ -z "${postgres_pid:-}" ] || kill -QUIT "$postgres_pid" 2>/dev/null || true
    [ -z "${mysql_pid:-}" ] || kill -KILL "$mysql_pid" 2>/dev/null || true
    wait 2>/dev/null || true
}
