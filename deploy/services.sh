#!/usr/bin/env bash
# The servers that the tests talk to, on this machine's loopback only: RabbitMQ on 5672, PostgreSQL on 5432, MariaDB on
# 3307. OpenSSH, Mosquitto and dcmtk are installed only: tests start their own.
# Usage: deploy/services.sh start|stop|status
#
# A server that already listens is used as it is. Otherwise, as root on a Debian machine, its package is installed
# and started without systemd. `stop` ends only what `start` has started. Settings for the tests are written to
# .services/env; JINGLUO_TEST_AMQP, JINGLUO_TEST_POSTGRESQL and JINGLUO_TEST_MARIADB, where set, go before it.
# A server that cannot be had is said loudly here; the tests that need it then skip, or fail under CI=true.
set -uo pipefail
cd "$(dirname "$0")/.."
. deploy/rabbitmq/node.sh

STATE=.services
WAIT_S=60
AMQP_PORT=5672
POSTGRESQL_PORT=5432
MARIADB_PORT=3307
MARIADB=/var/lib/jingluo-test-mariadb
TEST_ROLE=jingluo_test
NODE=jingluo@localhost

say() { echo "services: $*"; }
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
may_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }

wait_for() { # wait_for NAME COMMAND...: until it succeeds, at most WAIT_S seconds
    local name=$1 until=$((SECONDS + WAIT_S))
    shift
    until "$@" >/dev/null 2>&1; do
        if [ "$SECONDS" -ge "$until" ]; then
            say "$name did not answer within $WAIT_S s"
            return 1
        fi
        sleep 0.5
    done
}

# Debian's packages start their service while they are installed; policy-rc.d says no to that.
install_package() {
    say "installing Debian's $1 ..."
    local policy=/usr/sbin/policy-rc.d made="" result=0
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && made=1
    fi
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1"; } \
        >"$STATE/apt-$1.log" 2>&1 || result=1
    [ -z "$made" ] || rm -f "$policy"
    [ "$result" = 0 ] || say "apt-get could not install $1; see $STATE/apt-$1.log"
    return "$result"
}

remember() { # remember KEY VALUE in .services/env
    touch "$STATE/env" && chmod 600 "$STATE/env"
    grep -v "^$1=" "$STATE/env" >"$STATE/env.new"
    echo "$1=$2" >>"$STATE/env.new"
    mv "$STATE/env.new" "$STATE/env"
}

# --- RabbitMQ

as_rabbitmq() { # with the fixed node name, everything bound to loopback
    local command=$1
    shift
    RABBITMQ_NODENAME=$NODE RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT=$AMQP_PORT \
        ERL_EPMD_ADDRESS=127.0.0.1 \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} $QUIET" \
        "$command" "$@"
}

rabbitmq_pid() { cat "/var/lib/rabbitmq/mnesia/$NODE.pid" 2>/dev/null; }

start_rabbitmq() {
    if amqp_answers "$AMQP_PORT"; then
        say "RabbitMQ: using the one on 127.0.0.1:$AMQP_PORT"
    else
        if ! command -v rabbitmq-server >/dev/null 2>&1; then
            may_install || { say "RabbitMQ: none here, and no right to install it (root and apt-get needed)"; return 1; }
            install_package rabbitmq-server || return 1
        fi
        [ "$(id -u)" = 0 ] || { say "RabbitMQ: installed but not running; start it, or run this as root"; return 1; }
        say "RabbitMQ: starting ..."
        as_rabbitmq rabbitmq-server -detached >"$STATE/rabbitmq.log" 2>&1
        wait_for RabbitMQ amqp_answers "$AMQP_PORT" || return 1
        rabbitmq_pid >"$STATE/started-rabbitmq"
        say "RabbitMQ: started on 127.0.0.1:$AMQP_PORT"
    fi
    remember JINGLUO_TEST_AMQP "amqp://guest:guest@127.0.0.1:$AMQP_PORT/"
}

stop_rabbitmq() {
    if [ -z "$(rabbitmq_pid)" ] || [ "$(rabbitmq_pid)" != "$(cat "$STATE/started-rabbitmq" 2>/dev/null)" ]; then
        say "RabbitMQ: not started by this script; left alone"
        return
    fi
    as_rabbitmq rabbitmqctl --quiet shutdown --timeout "$WAIT_S" >/dev/null 2>&1 && say "RabbitMQ: stopped"
    rm -f "$STATE/started-rabbitmq"
}

# --- PostgreSQL

cluster() { pg_lsclusters --no-header 2>/dev/null | awk -v p="$POSTGRESQL_PORT" '$3 == p {print $1, $2; exit}'; }
pg_pid() { head -n 1 "$(pg_lsclusters --no-header 2>/dev/null | awk -v p="$POSTGRESQL_PORT" '$3 == p {print $6; exit}')/postmaster.pid" 2>/dev/null; }
pg_answers() { pg_isready --quiet --host=127.0.0.1 --port="$POSTGRESQL_PORT"; }
as_postgres() { (cd / && su postgres -s /bin/sh -c "psql --quiet --no-psqlrc --tuples-only --no-align -p $POSTGRESQL_PORT"); }

start_postgresql() {
    if [ -n "${JINGLUO_TEST_POSTGRESQL:-}" ]; then
        say "PostgreSQL: using JINGLUO_TEST_POSTGRESQL"
        return
    fi
    if listens "$POSTGRESQL_PORT"; then
        say "PostgreSQL: using the one on 127.0.0.1:$POSTGRESQL_PORT"
    else
        if ! command -v pg_ctlcluster >/dev/null 2>&1 || [ -z "$(cluster)" ]; then
            may_install || { say "PostgreSQL: none here, and no right to install it (root and apt-get needed)"; return 1; }
            install_package postgresql || return 1
        fi
        [ "$(id -u)" = 0 ] || { say "PostgreSQL: installed but not running; start it, or run this as root"; return 1; }
        say "PostgreSQL: starting ..."
        local name
        read -r -a name <<<"$(cluster)"
        pg_ctlcluster --skip-systemctl-redirect "${name[@]}" start -- -o "-c listen_addresses=127.0.0.1" \
            >"$STATE/postgresql.log" 2>&1
        wait_for PostgreSQL pg_answers || return 1
        pg_pid >"$STATE/started-postgresql"
        say "PostgreSQL: started on 127.0.0.1:$POSTGRESQL_PORT"
    fi
    prepare_postgresql
}

# A role and a database for the tests, with a password made now. Without the right to make them, the one that a
# former run remembered is used.
prepare_postgresql() {
    if [ "$(id -u)" != 0 ] || ! echo "select 1" | as_postgres >/dev/null 2>&1; then
        grep -qs '^JINGLUO_TEST_POSTGRESQL=' "$STATE/env" && return
        say "PostgreSQL: no right to make a test database here; set JINGLUO_TEST_POSTGRESQL"
        return 1
    fi
    # One that a former run made and that still works is kept: other runs may be using it now.
    local dsn password
    dsn=$(sed -n 's/^JINGLUO_TEST_POSTGRESQL=//p' "$STATE/env" 2>/dev/null)
    [ -n "$dsn" ] && psql --no-psqlrc --quiet --command "select 1" "$dsn" >/dev/null 2>&1 && return
    password=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
    as_postgres <<SQL >/dev/null || { say "PostgreSQL: could not make the test role and database"; return 1; }
\set ON_ERROR_STOP on
SELECT 'CREATE ROLE $TEST_ROLE' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '$TEST_ROLE') \gexec
ALTER ROLE $TEST_ROLE LOGIN CREATEDB PASSWORD '$password';
SELECT 'CREATE DATABASE $TEST_ROLE OWNER $TEST_ROLE ENCODING ''UTF8'' TEMPLATE template0'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '$TEST_ROLE') \gexec
SQL
    remember JINGLUO_TEST_POSTGRESQL \
        "postgresql://$TEST_ROLE:$password@127.0.0.1:$POSTGRESQL_PORT/$TEST_ROLE"
}

stop_postgresql() {
    if [ -z "$(pg_pid)" ] || [ "$(pg_pid)" != "$(cat "$STATE/started-postgresql" 2>/dev/null)" ]; then
        say "PostgreSQL: not started by this script; left alone"
        return
    fi
    local name
    read -r -a name <<<"$(cluster)"
    pg_ctlcluster --skip-systemctl-redirect "${name[@]}" stop --mode fast >/dev/null 2>&1 && say "PostgreSQL: stopped"
    rm -f "$STATE/started-postgresql"
}

# --- Programs that tests start themselves, each with files and a port of its own

have() { # have NAME PROGRAM PACKAGE
    command -v "$2" >/dev/null 2>&1 || [ -x "/usr/sbin/$2" ] && return
    may_install || { say "$1: not here, and no right to install it (root and apt-get needed)"; return 1; }
    install_package "$3"
}

# --- MariaDB: a server of our own beside any that the machine has, with its own port, socket and folder

mariadb_pid() { cat "$MARIADB/pid" 2>/dev/null; }

start_mariadb() {
    if [ -n "${JINGLUO_TEST_MARIADB:-}" ]; then
        say "MariaDB: using JINGLUO_TEST_MARIADB"
        return
    fi
    if listens "$MARIADB_PORT"; then
        say "MariaDB: using the one on 127.0.0.1:$MARIADB_PORT"
    else
        if ! command -v mariadbd >/dev/null 2>&1; then
            may_install || { say "MariaDB: none here, and no right to install it (root and apt-get needed)"; return 1; }
            install_package mariadb-server-core || return 1
        fi
        [ "$(id -u)" = 0 ] || { say "MariaDB: installed but not running; start it, or run this as root"; return 1; }
        [ -e "$MARIADB/url" ] || prepare_mariadb || { say "MariaDB: could not make $MARIADB"; return 1; }
        say "MariaDB: starting ..."
        (cd / && setsid mariadbd --no-defaults --user=nobody --datadir="$MARIADB/data" --pid-file="$MARIADB/pid" \
            --socket="$MARIADB/socket" --bind-address=127.0.0.1 --port="$MARIADB_PORT" --skip-name-resolve \
            --innodb-buffer-pool-size=64M --performance-schema=OFF >"$MARIADB/log" 2>&1 </dev/null &)
        wait_for MariaDB listens "$MARIADB_PORT" || return 1
        mariadb_pid >"$STATE/started-mariadb"
        say "MariaDB: started on 127.0.0.1:$MARIADB_PORT"
    fi
    if [ -r "$MARIADB/url" ]; then
        remember JINGLUO_TEST_MARIADB "$(cat "$MARIADB/url")"
    elif ! grep -qs '^JINGLUO_TEST_MARIADB=' "$STATE/env"; then
        say "MariaDB: no right to make a test database here; set JINGLUO_TEST_MARIADB"
        return 1
    fi
}

# An empty server with one user, the only one who may come in, whose password is made now. The package of the server
# alone has the tables as SQL; the script that would read them needs more packages.
prepare_mariadb() {
    local password tables=/usr/share/mysql
    password=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
    rm -rf "$MARIADB" && mkdir -p "$MARIADB/data" && chmod 711 "$MARIADB" && chown nobody "$MARIADB" "$MARIADB/data" &&
        {
            echo "CREATE DATABASE mysql;"
            echo "USE mysql;"
            cat "$tables/mysql_system_tables.sql" "$tables/mysql_system_tables_data.sql"
            echo "FLUSH PRIVILEGES;"
            echo "DELETE FROM mysql.global_priv WHERE User <> 'mariadb.sys';"
            echo "FLUSH PRIVILEGES;"
            echo "CREATE DATABASE $TEST_ROLE CHARACTER SET utf8mb4;"
            echo "GRANT ALL ON *.* TO '$TEST_ROLE'@'127.0.0.1' IDENTIFIED BY '$password' WITH GRANT OPTION;"
        } | (cd / && mariadbd --no-defaults --user=nobody --datadir="$MARIADB/data" --bootstrap) \
            >"$STATE/mariadb.log" 2>&1 &&
        (umask 077 && echo "mysql://$TEST_ROLE:$password@127.0.0.1:$MARIADB_PORT/$TEST_ROLE" >"$MARIADB/url")
}

stop_mariadb() {
    if [ -z "$(mariadb_pid)" ] || [ "$(mariadb_pid)" != "$(cat "$STATE/started-mariadb" 2>/dev/null)" ]; then
        say "MariaDB: not started by this script; left alone"
        return
    fi
    kill "$(mariadb_pid)" && say "MariaDB: stopped"
    rm -f "$STATE/started-mariadb"
}

status() {
    if amqp_answers "$AMQP_PORT"; then say "RabbitMQ: answers on 127.0.0.1:$AMQP_PORT"; else say "RabbitMQ: not running"; fi
    if listens "$POSTGRESQL_PORT"; then say "PostgreSQL: answers on 127.0.0.1:$POSTGRESQL_PORT"; else say "PostgreSQL: not running"; fi
    if listens "$MARIADB_PORT"; then say "MariaDB: answers on 127.0.0.1:$MARIADB_PORT"; else say "MariaDB: not running"; fi
}

mkdir -p "$STATE"
case "${1:-}" in
start)
    missing=""
    start_rabbitmq || missing="$missing RabbitMQ"
    start_postgresql || missing="$missing PostgreSQL"
    start_mariadb || missing="$missing MariaDB"
    have OpenSSH sshd openssh-server || missing="$missing OpenSSH"
    have Mosquitto mosquitto mosquitto || missing="$missing Mosquitto"
    have dcmtk storescu dcmtk || missing="$missing dcmtk"
    if [ -n "$missing" ]; then
        say "MISSING:$missing. The tests that need it are skipped (they fail when CI=true)."
    fi
    ;;
stop)
    stop_rabbitmq
    stop_postgresql
    stop_mariadb
    ;;
status) status ;;
*)
    echo "usage: deploy/services.sh start|stop|status" >&2
    exit 2
    ;;
esac
