#!/bin/bash
# What happens in the guest once it has booted: a hand-over to a second controller and router, as the
# DaemonSets would be, and back, under pings. The facts go to /lab/report as NAME=VALUE, logs beside it.
#
# In /lab: controller-2 and router-2, each the arguments of `podman run`, one a line.
set -u
exec 2>/lab/trial.log
set -x

FAR4=10.9.0.1 FAR6=2001:db8:9::1

report() { echo "$1=$2" >>/lab/report; }

report_units() { # as they are after boot
    local unit property
    for unit in networking opening dualpath dualpath-router kubelet; do
        for property in ActiveEnterTimestampMonotonic Type NRestarts; do
            report "$unit.$property" "$(systemctl show --property=$property --value $unit)"
        done
    done
}

finish() {
    local name
    systemd-analyze time >/lab/analyze.log 2>&1
    systemd-analyze blame --no-pager >>/lab/analyze.log 2>&1
    systemd-analyze critical-chain --no-pager >>/lab/analyze.log 2>&1
    podman ps --all >/lab/containers.log 2>&1
    for name in $(podman ps --all --format='{{.Names}}'); do
        podman logs "$name" >"/lab/$name.log" 2>&1
    done
    journalctl --boot --no-pager --output=short-precise >/lab/journal.log 2>&1
    report end "$1"
    sync
    echo o >/proc/sysrq-trigger
    sleep 60
}

await() { # what command...: within 5 minutes
    local what=$1 deadline=$((SECONDS + 300))
    shift
    until "$@"; do
        [ $SECONDS -lt $deadline ] || finish "no: $what"
        sleep 0.2
    done
    report "$what" "$(cut -d' ' -f1 /proc/uptime)"
}

is_ready() { # the controller that has the turn
    local line
    exec 3<>/dev/tcp/127.0.0.1/9473 || return 1
    printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3
    read -r line <&3
    exec 3>&-
    [[ $line == *" 200 "* ]]
}

# A container that waits for its turn logs nothing, or that it waits.
has_turn() { # container of a controller, of a router
    [ -n "$(podman logs "$1" 2>&1)" ] && podman logs "$2" 2>&1 | grep -q 'FRR starts'
}

waits() { podman logs "$1" 2>&1 | grep -q 'another router runs on this node'; }

reaches() { ping -c1 -W1 $FAR4 && ping -c1 -W1 $FAR6; }

second() {
    local part
    for part in controller router; do
        mapfile -t arguments <"/lab/$part-2"
        podman run --detach "--name=$part-2" "${arguments[@]}" || finish "no: $part-2"
    done
}

await ready is_ready
report_units
ip route replace $FAR4 via 10.21.0.1
ip route replace $FAR6 via 2001:db8:21::1
await reached reaches

ping -D -i0.02 -W1 -O $FAR4 >/lab/ping4.log &
four=$!
ping -D -i0.02 -W1 -O $FAR6 >/lab/ping6.log &
six=$!

second
await second_waits waits router-2
systemctl --no-block restart dualpath dualpath-router
await second_has_turn has_turn controller-2 router-2
await second_ready is_ready
podman stop controller-2 router-2
await first_has_turn has_turn dualpath dualpath-router
await first_ready is_ready
sleep 3 # the flows see what the last change did

kill -INT $four $six
wait $four $six
finish yes
