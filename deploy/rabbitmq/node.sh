#!/usr/bin/env bash
# One RabbitMQ node of one's own on loopback, apart from the system's: own name, ports, folder, cookie and process.
# Usage: deploy/rabbitmq/node.sh start|stop|kill|status FOLDER PORT [CONF]
#
# FOLDER keeps all that the node writes, and the cookie of its neighbours lies beside it. The node is called
# jingluo-PORT@localhost, AMQP is on PORT, its peers on PORT+20000. CONF is added to its rabbitmq.conf.
# The server's programs are taken as the package has them; nothing of the system's node is touched.
set -uo pipefail

# An idle scheduler sleeps instead of spinning: on few cores the spinning is taken from everybody else.
QUIET="+sbwt none +sbwtdcpu none +sbwtdio none"
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PROGRAMS=${JINGLUO_RABBITMQ_PROGRAMS:-/usr/lib/rabbitmq/bin}
NODE_WAIT_S=${JINGLUO_NODE_WAIT_S:-180}

# While it starts, a port can be open before the broker speaks AMQP: ask for its greeting.
amqp_answers() { # amqp_answers PORT
    local reply
    reply=$(timeout 3 bash -c "exec 3<>/dev/tcp/127.0.0.1/$1 && printf 'AMQP\0\0\011\001' >&3 \
        && head -c 1 <&3 | od -An -tx1" 2>/dev/null)
    [ "${reply// /}" = 01 ]
}

node_name() { echo "jingluo-$1@localhost"; }

node_env() { # node_env FOLDER PORT COMMAND...: with the node's own settings and nobody else's
    local folder=$1 port=$2
    shift 2
    env -i PATH="$PATH" LANG=C.UTF-8 HOME="$(dirname "$folder")" RABBITMQ_NODENAME="$(node_name "$port")" \
        RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT="$port" RABBITMQ_DIST_PORT=$((port + 20000)) \
        RABBITMQ_MNESIA_BASE="$folder/data" RABBITMQ_LOG_BASE="$folder/log" RABBITMQ_PID_FILE="$folder/rabbit.pid" \
        RABBITMQ_CONFIG_FILE="$folder/rabbitmq.conf" RABBITMQ_ADVANCED_CONFIG_FILE="$folder/advanced.config" \
        RABBITMQ_CONF_ENV_FILE="$folder/none" RABBITMQ_ENABLED_PLUGINS_FILE="$folder/plugins" \
        RUNNING_UNDER_SYSTEMD=true ERL_EPMD_ADDRESS=127.0.0.1 ERL_CRASH_DUMP="$folder/log/erl_crash.dump" \
        RABBITMQ_CTL_ERL_ARGS="$QUIET +S 1:1" \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 $QUIET" \
        "$@"
}

node_conf() { # node_conf PORT [CONF]
    cat <<CONF
listeners.tcp.own = 127.0.0.1:$1
vm_memory_high_watermark.absolute = 400MB
disk_free_limit.absolute = 50MB
raft.wal_max_size_bytes = 32000000
cluster_partition_handling = pause_minority
log.console = false
log.file.level = warning
CONF
    [ -z "${2:-}" ] || cat "$2"
}

node_pid() { cat "$1/node.pid" 2>/dev/null; }
node_lives() { # the process is there, and is still this node
    local pid
    pid=$(node_pid "$1") && [ -n "$pid" ] && grep -qxzF "RABBITMQ_PID_FILE=$1/rabbit.pid" "/proc/$pid/environ" 2>/dev/null
}

start_node() { # start_node FOLDER PORT [CONF]: returns at once
    local folder=$1 port=$2
    node_lives "$folder" && return
    mkdir -p "$folder/data" "$folder/log"
    echo "[]." >"$folder/plugins"
    node_conf "$port" "${3:-}" >"$folder/rabbitmq.conf"
    cp "$HERE/advanced.config" "$folder/advanced.config"
    rm -f "$folder/node.pid"
    node_env "$folder" "$port" setsid bash -c 'echo $$ >"$1" && exec "$2"' - "$folder/node.pid" \
        "$PROGRAMS/rabbitmq-server" >"$folder/log/output" 2>&1 </dev/null &
    disown
}

await_node() { # await_node FOLDER PORT
    local until=$((SECONDS + NODE_WAIT_S))
    until amqp_answers "$2"; do
        if [ -e "$1/node.pid" ] && ! node_lives "$1"; then
            echo "node $2: it ended by itself; see $1/log" >&2
            return 1
        fi
        if [ "$SECONDS" -ge "$until" ]; then
            echo "node $2: no answer within $NODE_WAIT_S s; see $1/log" >&2
            return 1
        fi
        sleep 0.5
    done
}

end_node() { # end_node SIGNAL FOLDER: and waits until it is gone
    local pid until=$((SECONDS + NODE_WAIT_S))
    node_lives "$2" || return 0
    pid=$(node_pid "$2")
    kill "-$1" "$pid"
    while node_lives "$2"; do
        [ "$SECONDS" -lt "$until" ] || { kill -KILL "$pid"; break; }
        sleep 0.2
    done
    rm -f "$2/node.pid"
}

node_main() {
    local folder port=${3:-}
    [ -n "$port" ] || { echo "usage: $0 start|stop|kill|status FOLDER PORT [CONF]" >&2; exit 2; }
    mkdir -p "$2" && folder=$(cd "$2" && pwd)
    case "$1" in
    start) start_node "$folder" "$port" "${4:-}" && await_node "$folder" "$port" ;;
    stop) end_node TERM "$folder" ;;
    kill) end_node KILL "$folder" ;;
    status) amqp_answers "$port" ;;
    *) exit 2 ;;
    esac
}

[ "${BASH_SOURCE[0]}" != "$0" ] || node_main "$@"
