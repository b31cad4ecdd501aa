#!/bin/bash
# What happens in the guest once it has booted with the quadlets: a hand-over to a second controller
# and router, as the DaemonSets would be, and back, under pings.
#
# In /lab: controller-2 and router-2, each the arguments of `podman run`, one a line.
. /lab/report.sh

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
    [ -n "$(podman logs "$1" 2>&1)" ] && podman logs "$2" 2>&1 | grep -q 'FRR starts in'
}

waits() { podman logs "$1" 2>&1 | grep -q 'another router runs on this node'; }

second() {
    local part
    for part in controller router; do
        mapfile -t arguments <"/lab/$part-2"
        podman run --detach "--name=$part-2" "${arguments[@]}" || finish "no: $part-2"
    done
}

await ready is_ready
report_units networking opening dualpath dualpath-router kubelet
add_routes
await reached reaches
start_flows

second
await second_waits waits router-2
systemctl --no-block restart dualpath dualpath-router
await second_has_turn has_turn controller-2 router-2
await second_ready is_ready
podman stop controller-2 router-2
await first_has_turn has_turn dualpath dualpath-router
await first_ready is_ready

end_flows
finish yes
