#!/usr/bin/env bash
# A RabbitMQ cluster of three nodes on this machine's loopback: to see how the engine lives through a node's death.
# Usage: deploy/cluster.sh start|stop|status|kill N|node N|rebalance
#
# AMQP is on 5691, 5692, 5693 (JINGLUO_CLUSTER_PORT is the first); all they write is below .services/cluster
# (JINGLUO_CLUSTER). `kill 2` ends the second node as a power cut would, `node 2` starts it again, `rebalance` spreads
# the leaders of the queues over the nodes. Each node is known by its process, and none but these three is touched.
set -uo pipefail
cd "$(dirname "$0")/.."
. deploy/rabbitmq/node.sh

FIRST=${JINGLUO_CLUSTER_PORT:-5691}
HOME_OF_ALL=${JINGLUO_CLUSTER:-$PWD/.services/cluster}

folder() { echo "$HOME_OF_ALL/node$1"; }
port() { echo $((FIRST + $1 - 1)); }
ctl() { # ctl N PROGRAM WORDS...: one of the package's commands, on the Nth node
    local n=$1 program=$2
    shift 2
    node_env "$(folder "$n")" "$(port "$n")" "$PROGRAMS/$program" --quiet "$@"
}

begin() { # begin N
    mkdir -p "$(folder "$1")"
    cat >"$HOME_OF_ALL/cluster.conf" <<CONF
cluster_formation.peer_discovery_backend = classic_config
cluster_formation.classic_config.nodes.1 = $(node_name "$(port 1)")
cluster_formation.classic_config.nodes.2 = $(node_name "$(port 2)")
cluster_formation.classic_config.nodes.3 = $(node_name "$(port 3)")
CONF
    start_node "$(folder "$1")" "$(port "$1")" "$HOME_OF_ALL/cluster.conf"
}

wait_for() { await_node "$(folder "$1")" "$(port "$1")"; }

start() {
    # The first one alone, where there is no cluster yet: then the others have somebody to join.
    begin 1
    [ -d "$(folder 2)/data" ] || wait_for 1 || return 1
    begin 2
    begin 3
    wait_for 1 && wait_for 2 && wait_for 3 || return 1
    [ -e "$HOME_OF_ALL/policies" ] || {
        ctl 1 rabbitmqctl import_definitions deploy/rabbitmq/policies.json >/dev/null && touch "$HOME_OF_ALL/policies"
    } || return 1
    status
}

stop() {
    local n
    for n in 3 2 1; do end_node TERM "$(folder "$n")" & done
    wait
}

status() {
    local n up=0
    for n in 1 2 3; do
        if amqp_answers "$(port "$n")"; then
            echo "cluster: $(node_name "$(port "$n")") answers, process $(node_pid "$(folder "$n")")"
            up=$((up + 1))
        else
            echo "cluster: $(node_name "$(port "$n")") is down"
        fi
    done
    [ "$up" = 3 ]
}

case "${1:-}" in
start) start ;;
stop) stop ;;
status) status ;;
kill) end_node KILL "$(folder "${2:?which node}")" ;;
node) begin "${2:?which node}" && wait_for "$2" ;;
rebalance) ctl 1 rabbitmq-queues rebalance quorum >/dev/null ;;
*)
    echo "usage: deploy/cluster.sh start|stop|status|kill N|node N|rebalance" >&2
    exit 2
    ;;
esac
